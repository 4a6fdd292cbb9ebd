"""The task that puts a judged network into MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact

from tasks.libraries import load
from tasks.policy import done, flow_run_id, step
from xray.config import Request
from xray.errors import RegistryError

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.evaluation.judge import Judged
    from xray.registry.record import Recorded
    from xray.training.fit import Trained


@step(name="register")
def register(trained: Trained, judged: Judged, catalog: Catalog, request: Request) -> Recorded:
    """Complete the MLflow run and register the model, once."""
    record = load("xray.registry.record").record
    try:
        recorded = record(trained, judged, catalog, request.config, request.places, flow_run_id())
    except RegistryError as error:
        later = f"The model is safe in {trained.folder}; this registers it later: {request.command}"
        raise RegistryError(f"{error}. {later}") from error.__cause__
    create_markdown_artifact(recorded.markdown(), key="mlflow-run")
    return done(
        recorded, recorded.registered.reused, f"{recorded.registered.name} version {recorded.registered.version}"
    )
