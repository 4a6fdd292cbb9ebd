"""One trial of a study: values drawn, a network trained with them and pruned where it lags, its own MLflow run.

A trial reads the figures of its training's epochs, which are on VALIDATION scans. It judges nothing, and so takes no
look at TEST. Its run is the run of its training folder, as a fold's is.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from xray.config import Config
from xray.data.store.pixel_store import PixelStore
from xray.errors import DivergedError
from xray.progress import Progress
from xray.runs.cross_validation_run import single_seed_config
from xray.runs.run_context import RunContext
from xray.runs.run_tags import run_facts
from xray.runs.training_run import train_in_run
from xray.tracking.run_artifacts import log_metrics
from xray.tracking.store import reached, store_of
from xray.tracking.tracker import Tracker
from xray.training.checkpoint import drop_checkpoints
from xray.training.history import History, StoppedTraining
from xray.training.training_digest import training_digest
from xray.tuning.search_space import applied, in_words
from xray.tuning.study import DIVERGED, SLOT, Material, Study, ask, connected, is_over

log = logging.getLogger(__name__)

TRIAL_TAG, STATE_TAG, STUDY_TAG = "trial", "state", "study"
VALUE = "objective"
FACTS = ("run_id", "training", "epochs", "best_epoch", VALUE)
"""What a trial of the study remembers of its training, beside its slot."""


@dataclass(frozen=True)
class TrialResult:
    """What became of a trial: small, for it may travel from another machine.

    Attributes:
        number: Its number in the study.
        slot: Its place among the trials that were asked for, from 0.
        state: `COMPLETE`, `PRUNED` or `FAIL`; the last means that its loss was no number.
        value: The objective; None where there is none.
        epochs: Epochs that were trained in all.
    """

    number: int
    slot: int
    state: str
    value: float | None
    epochs: int


def value_of(history: History, objective: str) -> float:
    """Give the objective of a training: the figure of the epoch whose weights are kept.

    Args:
        history: At least one epoch.
        objective: `val_loss` or `val_auc`.
    """
    return float(getattr(history.epochs[history.best_epoch - 1], objective))


def run_trial(
    study: Study,
    slot: int,
    context: RunContext,
    beside_others: bool = False,
) -> TrialResult:
    """Draw values, train with them to the end or until pruned, and tell the study and MLflow. Nothing is registered.

    Args:
        study: Which one.
        slot: The trial's place among those that were asked for.
        context: Where the run is kept, and what it is part of.
        beside_others: Whether other trials run now.

    Raises:
        TrainingError: The training cannot start.
        StoreError: A folder could not be written.
        RegistryError: The study's database or MLflow's store cannot be reached.
    """
    with connected(study, slot, beside_others) as found:
        trial = ask(study, found, slot)
        config = single_seed_config(applied(study.config, trial.params), study.config.training.seed)
        log.info("trial %d: %s", trial.number, in_words(trial.params))
        material = study.material(config)
        digest = training_digest(material.catalog, config)
        # The same values drawn twice are one training: whoever comes second waits, and takes over what it came to.
        with FileLock(study.folder / f"{digest}.lock"):
            twin = _twin(found, trial)
            if twin is not None:
                return _taken_over(found, trial, twin)
            folder = context.workspace.trainings / digest
            facts = run_facts(material.catalog, config, digest, context)
            tags = {**facts.tags, TRIAL_TAG: str(trial.number), STUDY_TAG: study.name}
            tracker = Tracker(store_of(context.workspace), folder, replace(facts, tags=tags))
            watch = _Watch(trial, config, study.search.objective, context.progress)
            state = _train(tracker, folder, material, config, watch)
            return _told(found, trial, tracker, watch, state, folder)


class _Watch:
    """Reports each epoch to the study, and ends the training where the study prunes it."""

    def __init__(self, trial: optuna.Trial, config: Config, objective: str, progress: Progress | None) -> None:
        self.trial, self.settings, self.objective, self.progress = trial, config.training, objective, progress
        self.history = History((), "")

    def __call__(self, history: History) -> None:
        self.take(history)
        if self.progress is not None:
            self.progress(len(history.epochs), self.settings.epochs)
        over = history.is_over(self.settings.epochs, self.settings.patience)
        if not over and self.trial.should_prune():
            raise StoppedTraining

    def take(self, history: History) -> None:
        for epoch in history.epochs[len(self.history.epochs) :]:
            self.trial.report(getattr(epoch, self.objective), epoch.epoch - 1)  # Optuna counts from 0
        self.history = history

    @property
    def value(self) -> float | None:
        return value_of(self.history, self.objective) if self.history.epochs else None


def _train(tracker: Tracker, folder: Path, material: Material, config: Config, watch: _Watch) -> TrialState:
    store = PixelStore.open(material.pixels)
    try:
        trained = train_in_run(tracker, folder, material.catalog, store, config, [watch])
    except StoppedTraining:
        log.info("pruned after epoch %d: its %s is worse than the median", len(watch.history.epochs), watch.objective)
        return TrialState.PRUNED
    except DivergedError as error:
        log.warning("this trial has no result: %s", error)
        return TrialState.FAIL
    watch.take(trained.history())  # a training that was there already called nobody
    return TrialState.COMPLETE


def _told(
    found: optuna.Study, trial: optuna.Trial, tracker: Tracker, watch: _Watch, state: TrialState, folder: Path
) -> TrialResult:
    """Tell MLflow first: a kill in between has the slot tried again, which finds its training and tells both."""
    client, run_id = tracker.require()
    value = None if state == TrialState.FAIL else watch.value
    with reached(tracker.store):
        client.set_tag(run_id, STATE_TAG, state.name)
        if value is not None:
            log_metrics(client, run_id, {VALUE: value}, renewed=True)
    tracker.finish("FAILED" if state == TrialState.FAIL else "FINISHED")
    history = watch.history
    facts = (run_id, folder.name, len(history.epochs), history.best_epoch, value)
    tried = _end(found, trial, state, dict(zip(FACTS, facts, strict=True)))
    if state != TrialState.COMPLETE:
        drop_checkpoints(folder)  # the article's are 965 MB each
    return tried


def _twin(found: optuna.Study, trial: optuna.Trial) -> FrozenTrial | None:
    ended = [each for each in found.get_trials() if is_over(each) and each.params == trial.params]
    return ended[0] if ended else None


def _taken_over(found: optuna.Study, trial: optuna.Trial, twin: FrozenTrial) -> TrialResult:
    for step, value in sorted(twin.intermediate_values.items()):
        trial.report(value, step)
    return _end(found, trial, twin.state, {name: twin.user_attrs[name] for name in FACTS})


def _end(found: optuna.Study, trial: optuna.Trial, state: TrialState, facts: dict[str, Any]) -> TrialResult:
    for name, fact in facts.items():
        trial.set_user_attr(name, fact)
    if state == TrialState.FAIL:
        trial.set_user_attr(DIVERGED, True)
    found.tell(trial, facts[VALUE] if state == TrialState.COMPLETE else None, state)
    return TrialResult(trial.number, trial.user_attrs[SLOT], state.name, facts[VALUE], facts["epochs"])
