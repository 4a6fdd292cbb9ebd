"""The MLflow run of a study: opened before its trials, completed with the best of them, every trial's run below it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState

from xray.config import Config
from xray.errors import TrainingError
from xray.files.lock import locked
from xray.runs.parent_run import ParentRun, log_children, note
from xray.runs.run_context import RunContext
from xray.runs.run_tags import run_facts
from xray.table import Table
from xray.tracking.run_artifacts import log_metrics
from xray.tracking.ui_views import NOTE_TAG
from xray.tuning.search_space import Params, applied, value_in_words
from xray.tuning.storage import shown
from xray.tuning.study import Study, connected, is_over
from xray.tuning.trial import VALUE

KIND = "study"
TRIALS_TABLE = "trials.json"
MOST_SHOWN = 10
ORDER = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "diverged"}
"""The states of trials that are over, in a table's order, with the words for them."""


@dataclass(frozen=True)
class Best:
    """The trial with the best objective among those that came to their end.

    Attributes:
        number: Its number in the study.
        run_id: Its MLflow run.
        value: The objective, on VALIDATION scans. It is the best of many, so it flatters.
        params: The values that it was trained with.
        config: The whole configuration with them.
    """

    number: int
    run_id: str
    value: float
    params: Params
    config: Config


@dataclass(frozen=True)
class StudyResult:
    """Where a study is found, and what it came to.

    Attributes:
        run_id: The parent's MLflow run.
        experiment_id: The experiment it lies in.
        name: The study's.
        objective: The figure on VALIDATION scans that was searched by.
        lines: Every trial, the best first: its run, state, objective, epochs and values, all under the same names.
        best: None where no trial came to its end.
        tried: Trials that were run now, the others having been there.
    """

    run_id: str
    experiment_id: str
    name: str
    objective: str
    lines: Sequence[dict[str, Any]]
    best: Best | None
    tried: int

    @property
    def counts(self) -> dict[str, int]:
        """Count the trials by how they ended: complete, pruned, diverged."""
        ended = [line["state"] for line in self.lines]
        return {word: ended.count(word) for word in ORDER.values()}

    def table(self) -> Table:
        """Write the best trials in words."""
        searched = [name for name in self.lines[0] if "." in name] if self.lines else []
        columns = ("trial", "state", self.objective, "best epoch", "epochs", *searched)
        rows = [
            (
                str(line["trial"]),
                line["state"],
                value_in_words(line[VALUE]),
                str(line["best_epoch"]),
                str(line["epochs"]),
                *(value_in_words(line[name]) for name in searched),
            )
            for line in self.lines[:MOST_SHOWN]
        ]
        return Table(columns, rows)


@contextmanager
def opened(study: Study, context: RunContext) -> Iterator[str | None]:
    """Hold a study for one command, and open its run; where the block ends with an error, the run says so.

    Args:
        study: Which one.
        context: Where the run is kept, and what it is part of.

    Yields:
        The run's id; None where the store is away, which stops nothing: the trials are put below it later.

    Raises:
        TrainingError: Another command goes on with this study.
        StoreError: The folder could not be written.
    """
    taken = TrainingError(f"only one command at a time can continue a study. Received: {study.name} is in use")
    with locked(study.folder / "lock", taken), _parent(study, context).opened() as parent:
        yield parent


def record_study(study: Study, tried: int, context: RunContext) -> StudyResult:
    """Complete the parent run: the best trial, a table of all, and every trial's run below it.

    Args:
        study: Which one.
        tried: Trials that were run now.
        context: Where the run is kept, and what it is part of.

    Raises:
        RegistryError: The study's database or MLflow's store cannot be reached.
    """
    trials = _ended(study)
    best = _best(study, trials)
    lines = [_line(trial) for trial in trials]
    with _parent(study, context).completed(sorted({line["run_id"] for line in lines})) as (client, run_id):
        experiment_id = client.get_run(run_id).info.experiment_id
        searched = StudyResult(run_id, experiment_id, study.name, study.search.objective, lines, best, tried)
        _log(client, searched)
    return searched


def _ended(study: Study) -> list[FrozenTrial]:
    """List the trials that came to their end: complete ones before pruned ones, the better before the worse."""
    with connected(study) as found:
        trials = [trial for trial in found.get_trials() if is_over(trial)]
    sign = 1 if study.search.direction == "minimize" else -1

    def place(trial: FrozenTrial) -> tuple[int, float, int]:
        return list(ORDER).index(trial.state), sign * (trial.user_attrs[VALUE] or 0.0), trial.number

    return sorted(trials, key=place)


def _best(study: Study, trials: Sequence[FrozenTrial]) -> Best | None:
    if not trials or trials[0].state != TrialState.COMPLETE:
        return None
    first = trials[0]
    config = applied(study.config, first.params)
    return Best(first.number, first.user_attrs["run_id"], first.user_attrs[VALUE], first.params, config)


def _line(trial: FrozenTrial) -> dict[str, Any]:
    facts = trial.user_attrs
    return {
        "run_id": facts["run_id"],
        "trial": trial.number,
        "state": ORDER[trial.state],
        VALUE: facts[VALUE],
        "best_epoch": facts["best_epoch"],
        "epochs": facts["epochs"],
        "training": facts["training"],
        **dict(sorted(trial.params.items())),
    }


def _parent(study: Study, context: RunContext) -> ParentRun:
    facts = run_facts(study.catalog, study.config, study.name, context)
    space = {key: str(entry) for key, entry in study.search.space.items()}
    facts = replace(
        facts,
        name=f"{study.config.recipe}-tune-{study.name[:8]}",
        params={**facts.params, **space},
        tags={**facts.tags, "objective": study.search.objective, "storage": shown(study.storage)},
    )
    return ParentRun(study.folder, context.workspace, facts, KIND)


def _log(client: MlflowClient, searched: StudyResult) -> None:
    run_id, best = searched.run_id, searched.best
    ended = {f"trials.{word}": count for word, count in searched.counts.items()}
    log_metrics(client, run_id, {**ended, **({VALUE: best.value} if best else {})}, renewed=True)
    if best is not None:
        told = {"trial": best.number, "run_id": best.run_id, **best.params}
        for name, value in told.items():
            client.set_tag(run_id, f"best.{name}", str(value))
    if searched.lines:
        log_children(client, run_id, TRIALS_TABLE, searched.lines)
    client.set_tag(run_id, NOTE_TAG, note({"trials": searched.table()}))
