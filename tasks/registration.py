"""Tasks that put a judged network into MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tasks.artifacts import show_table, show_text
from tasks.mlflow_run_context import context
from tasks.prefect_task import Outcome, flow_run_page, step
from tasks.progress import doing
from xray.config import Request
from xray.errors import RegistryError

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.evaluation.evaluate import Evaluated
    from xray.runs.cross_validation_run import FoldRun
    from xray.runs.seed_ensemble import RecordedEnsemble
    from xray.runs.training_run import Recorded
    from xray.training.fit import Trained

R = TypeVar("R", bound="Recorded")

SEEDS = "The registered network's metrics, with mean, spread and values of its seeds."
REGISTERED = "The MLflow run, and the registered version."


@step(name="register")
def register(trained: Trained, evaluated: Evaluated, catalog: Catalog, request: Request) -> Outcome[Recorded]:
    """Complete the MLflow run and register the model, once."""
    from xray.runs import training_run

    with _told_how_later(trained, request):
        recorded = training_run.record(trained, evaluated, catalog, request.config, context(request))
    return _registered(recorded, request)


@step(name="register")
def register_seeds(
    runs: Sequence[FoldRun], trained: Trained, evaluated: Evaluated, catalog: Catalog, request: Request
) -> Outcome[RecordedEnsemble]:
    """Complete the run above the seeds' with their spread, and register one model, once."""
    from xray.runs import seed_ensemble

    with _told_how_later(trained, request):
        repeated = seed_ensemble.record_seeds(runs, trained, evaluated, catalog, request.config, context(request))
    show_table("seeds", SEEDS, *repeated.table())
    return _registered(repeated, request)


@contextmanager
def _told_how_later(trained: Trained, request: Request) -> Iterator[None]:
    try:
        with doing("registering"):
            yield
    except RegistryError as error:
        later = f"The model is saved in {trained.folder}; to register it later: {request.command}"
        raise type(error)(f"{error}. {later}") from error.__cause__


def _registered(recorded: R, request: Request) -> Outcome[R]:
    from xray.tracking import flow_run_link

    flow_run_link.link(request.workspace, recorded.run_id, flow_run_page())
    show_text("mlflow-run", REGISTERED, recorded.markdown())
    version = recorded.registered
    return Outcome(recorded, f"{version.name} version {version.version}", reused=version.reused)
