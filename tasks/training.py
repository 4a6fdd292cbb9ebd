"""Tasks from a catalog and a pixel store to a network that was judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.artifacts import show_table
from tasks.mlflow_run_context import context
from tasks.prefect_task import Outcome, step
from tasks.progress import doing, progress_of
from tasks.training_slot import training_turn
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.data.folds import Fold
    from xray.data.store.fill_pixel_store import PixelStore
    from xray.evaluation.evaluate import Evaluated
    from xray.evaluation.inspection.inspect import Inspected
    from xray.runs.cross_validation_run import FoldRun
    from xray.training.fit import Trained


@step(name="train")
def train(catalog: Catalog, store: PixelStore, request: Request) -> Outcome[Trained]:
    """Train to the end, from the last finished epoch if there is one, and send each epoch to MLflow."""
    from xray.runs import training_run

    report = progress_of("epochs")
    with training_turn(), doing("training"):
        trained = training_run.train_and_track(catalog, store, request.config, context(request, progress=report))
    report(1, 1)  # stopped early or reused, it is at its end
    best = trained.history().best_epoch
    said = f"{trained.trained_epochs} epochs trained, best epoch {best}"
    return Outcome(trained, said, reused=trained.trained_epochs == 0)


@step(name="evaluate")
def evaluate(trained: Trained, catalog: Catalog, store: PixelStore, request: Request) -> Outcome[Evaluated]:
    """Score validation and TEST scans, choose the threshold on validation, and draw the plots."""
    from xray.evaluation.evaluate import evaluate
    from xray.evaluation.metrics.split_metrics import COLUMNS

    with doing("evaluating"):
        evaluated = evaluate(trained, catalog, store, request.config)
    show_table(
        "test-metrics", "The network's metrics on TEST, with 95 % intervals.", COLUMNS, evaluated.report()["rows"]
    )
    return Outcome(evaluated, f"evaluation {evaluated.digest}", reused=evaluated.reused)


@step(name="inspect")
def inspect_model(
    trained: Trained, evaluated: Evaluated, catalog: Catalog, store: PixelStore, request: Request
) -> Outcome[Inspected]:
    """Inspect shortcuts, slices and changed scans, and draw the maps."""
    from xray.evaluation.inspection.inspect import inspect

    with doing("inspecting") as now:
        seen = inspect(trained, evaluated, catalog, store, request.config, now)
    return Outcome(seen, seen.report()["verdicts"]["shortcuts"], reused=seen.reused)


def seed_configs(catalog: Catalog, store: PixelStore, request: Request) -> list[Fold]:
    """Say what each of several seeds trains."""
    from xray.runs import seed_ensemble

    return seed_ensemble.members_of(catalog, store, request.config)


@contextmanager
def ensemble_run(members: list[Fold], request: Request) -> Iterator[str | None]:
    """Keep the MLflow run open that the seeds' runs are children of."""
    from xray.runs import seed_ensemble

    with seed_ensemble.opened(members, request.config, context(request)) as parent:
        yield parent


@step(name="combine")
def combine(runs: Sequence[FoldRun], request: Request) -> Outcome[Trained]:
    """Average the seeds' networks into one, or take the first where no ensemble is wanted."""
    from xray.runs import seed_ensemble

    with doing("combining the seeds' networks"):
        trained, reused = seed_ensemble.combine(runs, request.config, request.workspace)
    said = f"{len(runs)} networks averaged" if request.config.registry.ensemble else "the first seed's network"
    return Outcome(trained, said, reused=reused)
