"""Tasks from a catalog and a pixel store to a network that was judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.artifacts import show_table
from tasks.libraries import load
from tasks.policy import done, flow_run_id, outcome, step
from tasks.progress import doing, progress_of
from tasks.training_slot import training_turn
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.data.folds import Fold
    from xray.data.store.fill_pixel_store import PixelStore
    from xray.evaluation.evaluate import Judged
    from xray.evaluation.inspection.inspect import Inspected
    from xray.runs.cross_validation_run import FoldRun
    from xray.training.fit import Trained


@step(name="train")
def train(catalog: Catalog, store: PixelStore, request: Request) -> Trained:
    """Train to the end, from the last finished epoch if there is one, and send each epoch to MLflow."""
    report = progress_of("epochs")
    with training_turn(), doing("training"):
        record = load("xray.runs.training_run")
        trained = record.train_and_track(catalog, store, request.config, request.places, flow_run_id(), report)
    report(1, 1)  # stopped early or reused, it is at its end
    best = trained.history().best_epoch
    return done(trained, trained.trained_epochs == 0, f"{trained.trained_epochs} epochs trained, best epoch {best}")


@step(name="evaluate")
def evaluate(trained: Trained, catalog: Catalog, store: PixelStore, request: Request) -> Judged:
    """Score validation and TEST scans, choose the threshold on validation, and draw the pictures."""
    with doing("evaluating"):
        judged = load("xray.evaluation.evaluate").judge(trained, catalog, store, request.config)
    columns = load("xray.evaluation.metrics.split_metrics").COLUMNS
    show_table("test-metrics", "The network's figures on TEST, with 95 % intervals.", columns, judged.report()["rows"])
    return done(judged, judged.reused, f"evaluation {judged.digest}")


@step(name="look inside")
def look_inside(trained: Trained, judged: Judged, catalog: Catalog, store: PixelStore, request: Request) -> Inspected:
    """Look for shortcuts, weak parts and what changed scans cost, and draw the maps."""
    with doing("looking inside") as now:
        seen = load("xray.evaluation.inspection.inspect").inspect(trained, judged, catalog, store, request.config, now)
    return done(seen, seen.reused, seen.report()["verdicts"]["shortcuts"])


def repeat(catalog: Catalog, store: PixelStore, request: Request) -> list[Fold]:
    """Say what each of several seeds trains."""
    return load("xray.runs.seed_ensemble").members_of(outcome(catalog), outcome(store), request.config)


@contextmanager
def ensemble_run(members: list[Fold], request: Request) -> Iterator[str | None]:
    """Keep the MLflow run open that the seeds' runs are children of."""
    with load("xray.runs.seed_ensemble").opened(members, request.config, request.places, flow_run_id()) as parent:
        yield parent


@step(name="combine")
def combine(runs: Sequence[FoldRun], request: Request) -> Trained:
    """Average the seeds' networks into one, or take the first where no ensemble is wanted."""
    with doing("combining the seeds' networks"):
        trained, reused = load("xray.runs.seed_ensemble").combine(runs, request.config, request.places)
    said = f"{len(runs)} networks averaged" if request.config.registry.ensemble else "the first seed's network"
    return done(trained, reused, said)
