"""Tasks of a cross-validation: cut, learn each fold, sum up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.tasks import Task

from tasks.artifacts import show_table
from tasks.cluster import dask_runner
from tasks.libraries import load
from tasks.policy import done, flow_run_id, flow_run_page, outcome, step
from tasks.progress import doing, progress_of
from tasks.training_slot import training_turn
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.folds import Fold
    from xray.data.prepare import Cleaned
    from xray.data.store.fill_pixel_store import PixelStore
    from xray.runs.cross_validation_run import Family, FoldRun

SHOWN = {
    "folds": "Each figure's mean and spread over the folds.",
    "out-of-fold": "The figures of all scans together, each scored by the network that has not learnt from it.",
    "classes-out-of-fold": "How well the classes are told apart, each scan scored by the network that has not seen it.",
}


@step(name="cut into folds")
def cut_into_folds(cleaned: Cleaned, store: PixelStore, request: Request, seeds: int) -> list[Fold]:
    """Audit the scans and write a catalog for each fold."""
    with doing("auditing and cutting into folds"):
        folds = load("xray.data.folds").cut(cleaned, store, request.config, request.places, seeds)
    reused = all(fold.catalog.reused for fold in folds)
    return done(folds, reused, f"{request.config.split.folds} folds, {len(folds)} trainings")


@contextmanager
def parent_run(folds: list[Fold], request: Request) -> Iterator[str | None]:
    """Keep the MLflow run open that the folds' runs are children of."""
    with load("xray.runs.cross_validation_run").opened(folds, request.config, request.places, flow_run_id()) as parent:
        yield parent


@step(name="fold")
def learn_fold(fold: Fold, request: Request, parent: str | None) -> FoldRun:
    """Train and judge one fold, from the last finished epoch if there is one."""
    report = progress_of("epochs")
    learned: FoldRun = load("xray.runs.cross_validation_run").learn(fold, request.places, parent, flow_run_id(), report)
    report(1, 1)  # stopped early or reused, it is at its end
    said = f"{_name(fold)}: {learned.fold.trained.trained_epochs} epochs trained"
    return done(learned, learned.reused, said)


def learn_in_turn(folds: Sequence[Fold], request: Request, parent: str | None) -> list[FoldRun]:
    """Learn one fold after another in the calling thread, the only one that timeouts and cancellation reach.

    Each fold takes a training turn of its own: another flow's training need not wait for all of them.
    """
    learned = []
    for place, fold in enumerate(folds, start=1):
        with training_turn(), doing(f"{_name(fold)} ({place} of {len(folds)})"):
            learned.append(outcome(_named(fold)(fold, request, parent)))
    return learned


def learn_on_cluster(folds: Sequence[Fold], request: Request, parent: str | None, address: str) -> list[FoldRun]:
    """Learn the folds beside each other on a Dask cluster; where one fails, the others are first waited for.

    The cluster is one place to train, so all of it takes one training turn: no other flow trains meanwhile, and how
    many folds do is decided by the number of the cluster's workers.
    """
    with training_turn(), dask_runner(address, most=len(folds)) as runner:
        futures = [runner.submit(_named(fold), {"fold": fold, "request": request, "parent": parent}) for fold in folds]
        for future in futures:
            future.wait()
        return [outcome(future.result()) for future in futures]


@step(name="sum up")
def sum_up(folds: list[Fold], runs: list[FoldRun], request: Request) -> Family:
    """Complete the parent run with spread and out-of-fold figures."""
    with doing("summing up"):
        family = load("xray.runs.cross_validation_run").record_family(
            folds, runs, request.config, request.places, flow_run_id()
        )
    for key, table in family.summary.tables().items():
        show_table(key, SHOWN.get(key, "Of the cross-validation."), *table)
    load("xray.tracking.flow_run_link").link(request.places, family.run_id, flow_run_page())
    return done(family, family.summary.reused, f"MLflow run {family.run_id}")


def _named(fold: Fold) -> Task[..., FoldRun]:
    return learn_fold.with_options(task_run_name=_name(fold))


def _name(fold: Fold) -> str:
    return f"fold {fold.number}, seed {fold.seed}"
