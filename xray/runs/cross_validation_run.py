"""One MLflow run for a cross-validation, with the run of each fold's training below it.

A fold's run is the run of its training folder, like any other: the first fold's is the very run of a plain training,
with its registered model if it has one. MLflow gives a run one parent. A training that belongs to several
cross-validations lies below the one that was run last; each of the others still names it in its table `folds.json`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlflow import MlflowClient

from xray.config import Config, Workspace, digest_of
from xray.data.folds import Fold
from xray.data.store.pixel_store import PixelStore
from xray.evaluation.cross_validation.summary import EvaluatedFold, Summary, summarize
from xray.evaluation.evaluate import evaluate, evaluation_digest
from xray.runs.parent_run import ParentRun, log_children, note
from xray.runs.report_page import log_page
from xray.runs.run_context import RunContext
from xray.runs.run_tags import run_facts
from xray.runs.training_run import complete, train_and_track
from xray.tracking.run_artifacts import log_final_metrics
from xray.tracking.run_identity import RunFacts
from xray.tracking.tracker import open_run
from xray.tracking.ui_views import NOTE_TAG
from xray.training.training_digest import training_digest

KIND = "cross-validation"
FOLDS_TABLE = "folds.json"


@dataclass(frozen=True)
class FoldRun:
    """A fold that was trained, judged and tracked: small, for it may travel from another machine.

    Attributes:
        run_id: Its MLflow run.
        fold: Its training and evaluation.
        reused: Whether both were there already.
    """

    run_id: str
    fold: EvaluatedFold
    reused: bool


@dataclass(frozen=True)
class CrossValidationRun:
    """Where a cross-validation is found.

    Attributes:
        run_id: The parent's MLflow run.
        experiment_id: The experiment it lies in.
        summary: Spread and out-of-fold scores.
    """

    run_id: str
    experiment_id: str
    summary: Summary


@contextmanager
def opened(folds: Sequence[Fold], config: Config, context: RunContext) -> Iterator[str | None]:
    """Open the parent run, and close it as failed or killed where the block ends so.

    Args:
        folds: All of them.
        config: The whole configuration that was asked for.
        context: Where the run is kept, and what it is part of.

    Yields:
        The run's id; None where the store is away, which stops nothing: the children are put below it later.

    Raises:
        StoreError: The folder could not be written.
    """
    with _parent(folds, config, context).opened() as parent:
        yield parent


def train_fold(fold: Fold, context: RunContext) -> FoldRun:
    """Train and evaluate one fold, or find it finished, with everything in its own run. Nothing is registered.

    Args:
        fold: What to train.
        context: Where the run is kept, and what it is part of.

    Raises:
        TrainingError: The training cannot start.
        EvaluationError: A split cannot be judged.
        StoreError: A folder could not be written.
        RegistryError: The store cannot be reached.
    """
    store, config = PixelStore.open(fold.pixels), single_seed_config(fold.config, fold.seed)
    trained = train_and_track(fold.catalog, store, config, context)
    evaluated = evaluate(trained, fold.catalog, store, config)
    facts = run_facts(fold.catalog, config, trained.digest, context, evaluated.digest)
    tracker = open_run(context.workspace, trained.folder, facts)
    log_page(tracker, complete(tracker, trained, evaluated, fold.catalog, config))
    tracker.finish()
    done = EvaluatedFold(fold.number, fold.seed, trained, evaluated)
    return FoldRun(tracker.require()[1], done, reused=trained.trained_epochs == 0 and evaluated.reused)


def record_cross_validation(
    folds: Sequence[Fold], runs: Sequence[FoldRun], config: Config, context: RunContext
) -> CrossValidationRun:
    """Complete the parent run: spread, out-of-fold scores and figures, and every fold's run below it. Once.

    Args:
        folds: All of them.
        runs: What became of each, in the same order.
        config: The whole configuration that was asked for.
        context: Where the run is kept, and what it is part of.

    Raises:
        EvaluationError: The scores cannot be judged.
        StoreError: The summary could not be written.
        RegistryError: The store cannot be reached.
    """
    summary = summarize([run.fold for run in runs], config.evaluation, _folder(folds, context.workspace))
    children = [run.run_id for run in runs]
    with _parent(folds, config, context).completed(children) as (client, run_id):
        _log_summary(client, run_id, summary, children)
        experiment_id = client.get_run(run_id).info.experiment_id
    return CrossValidationRun(run_id, experiment_id, summary)


def single_seed_config(config: Config, seed: int) -> Config:
    """Give the configuration of one training among several: that of a plain run with its seed."""
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed, "seeds": 1})})


def _parent(folds: Sequence[Fold], config: Config, context: RunContext) -> ParentRun:
    folder = _folder(folds, context.workspace)
    return ParentRun(folder, context.workspace, _facts(folds, config, folder.name, context), KIND)


def _folder(folds: Sequence[Fold], workspace: Workspace) -> Path:
    """Name the folder by its trainings: the same scans and configuration have one parent run for each evaluation."""
    return workspace.cross_validations / digest_of(sorted(training_digest(fold.catalog, fold.config) for fold in folds))


def _facts(folds: Sequence[Fold], config: Config, digest: str, context: RunContext) -> RunFacts:
    evaluations = [
        evaluation_digest(training_digest(fold.catalog, fold.config), fold.catalog, fold.config) for fold in folds
    ]
    facts = run_facts(folds[0].catalog, config, digest, context, digest_of(sorted(evaluations)))
    seeds = sorted({fold.seed for fold in folds})
    times = f"x{len(seeds)}" if len(seeds) > 1 else ""
    return replace(
        facts,
        name=f"{config.recipe}-cv{config.split.folds}{times}-{digest[:8]}",
        params={
            **facts.params,
            "split.validation_fold": "all",
            "training.seed": ", ".join(map(str, seeds)),
            "training.seeds": len(seeds),
        },
    )


def _log_summary(client: MlflowClient, run_id: str, summary: Summary, children: Sequence[str]) -> None:
    report = summary.report()
    log_final_metrics(client, run_id, report["metrics"])
    client.log_artifact(run_id, str(summary.out_of_fold))
    client.log_artifact(run_id, str(summary.folder / "summary.json"))
    lines = [{"run_id": child, **fold} for child, fold in zip(children, report["folds"], strict=True)]
    log_children(client, run_id, FOLDS_TABLE, lines)
    client.set_tag(run_id, NOTE_TAG, note(summary.tables()))
