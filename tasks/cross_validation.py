"""Tasks of a cross-validation: cut, learn each fold, sum up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.artifacts import show_table
from tasks.cluster.fan_out import train_all
from tasks.mlflow_run_context import context
from tasks.prefect_task import Outcome, flow_run_page, step
from tasks.progress import doing, progress_of
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.folds import Fold
    from xray.data.prepare import Cleaned
    from xray.data.store.fill_pixel_store import PixelStore
    from xray.runs.cross_validation_run import CrossValidationRun, FoldRun

SHOWN = {
    "folds": "Mean and spread of each metric over the folds.",
    "out-of-fold": "Metrics over all scans, each scored by the network that was not trained on it.",
    "classes-out-of-fold": "Metrics of the classes, each scan scored by the network that was not trained on it.",
}


@step(name="split into folds")
def cut_into_folds(cleaned: Cleaned, store: PixelStore, request: Request, seeds: int) -> Outcome[list[Fold]]:
    """Audit the scans and write a catalog for each fold."""
    from xray.data.folds import cut

    with doing("auditing and splitting into folds"):
        folds = cut(cleaned, store, request.config, request.workspace, seeds)
    reused = all(fold.catalog.reused for fold in folds)
    return Outcome(folds, f"{request.config.split.folds} folds, {len(folds)} trainings", reused=reused)


@contextmanager
def parent_run(folds: list[Fold], request: Request) -> Iterator[str | None]:
    """Keep the MLflow run open that the folds' runs are children of."""
    from xray.runs import cross_validation_run

    with cross_validation_run.opened(folds, request.config, context(request)) as parent:
        yield parent


@step(name="fold")
def train_one_fold(fold: Fold, request: Request, parent: str | None) -> Outcome[FoldRun]:
    """Train and evaluate one fold, from the last finished epoch if there is one."""
    from xray.runs import cross_validation_run

    report = progress_of("epochs")
    learned = cross_validation_run.train_fold(fold, context(request, parent, report))
    report(1, 1)  # stopped early or reused, it is at its end
    said = f"{_name(fold)}: {learned.fold.trained.trained_epochs} epochs trained"
    return Outcome(learned, said, reused=learned.reused)


def train_folds(folds: Sequence[Fold], request: Request, parent: str | None, dask: str | None = None) -> list[FoldRun]:
    """Learn every fold, one after another here, or beside each other on a Dask cluster."""
    return train_all([train_one_fold.call(_name(fold), fold, request, parent) for fold in folds], dask)


@step(name="summarize")
def sum_up(folds: list[Fold], runs: list[FoldRun], request: Request) -> Outcome[CrossValidationRun]:
    """Complete the parent run with spread and out-of-fold figures."""
    from xray.runs import cross_validation_run
    from xray.tracking import flow_run_link

    with doing("summarizing"):
        family = cross_validation_run.record_cross_validation(folds, runs, request.config, context(request))
    for key, table in family.summary.tables().items():
        show_table(key, SHOWN.get(key, "Of the cross-validation."), *table)
    flow_run_link.link(request.workspace, family.run_id, flow_run_page())
    return Outcome(family, f"MLflow run {family.run_id}", reused=family.summary.reused)


def _name(fold: Fold) -> str:
    return f"fold {fold.number}, seed {fold.seed}"
