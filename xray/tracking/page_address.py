"""Addresses of a run's page and files, for people."""

from pathlib import Path

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from xray.config import Workspace
from xray.tracking.store import reached, store_of
from xray.tracking.ui_views import run_page


def file_of(workspace: Workspace, run_id: str, name: str) -> str:
    """Say where a file of a run is: its path where this process can read it, its page at a server, or its address.

    Args:
        workspace: Where MLflow's store lies.
        run_id: The run.
        name: The file's name among the run's artifacts, such as `report.html`.

    Raises:
        RegistryError: The store cannot be reached, or has no such run.
    """
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        info = client.get_run(run_id).info
        if store.is_server:
            page, _, workflow = run_page(store.shown, info.experiment_id, run_id).partition("?")
            return f"{page}/artifacts/{name}?{workflow}"
        kept = get_artifact_repository(info.artifact_uri, store.uri)
    if isinstance(kept, LocalArtifactRepository):
        return str(Path(kept.artifact_dir) / name)
    return f"{info.artifact_uri}/{name}"


def page_of(workspace: Workspace, run_id: str) -> str | None:
    """Give a run's page in MLflow's UI; None where no server keeps the store.

    Raises:
        RegistryError: The store cannot be reached, or has no such run.
    """
    store = store_of(workspace)
    if not store.is_server:
        return None
    client = store.client()
    with reached(store):
        return run_page(store.shown, client.get_run(run_id).info.experiment_id, run_id)
