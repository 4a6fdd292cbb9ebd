"""Artifacts that came in through an MLflow server, found again without it.

An experiment made through a server keeps `mlflow-artifacts:/ID` as its place, which means "ask the server". Where the
store is a database that this process reads itself, the same files lie in the folder that the server wrote to.
"""

from urllib.parse import urlsplit

import mlflow
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry as repositories
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

SCHEME = "mlflow-artifacts"

_folders: dict[str, str] = {}


def find_below(uri: str, artifacts: str) -> None:
    """Let MLflow find what a server kept for a store, while the store is used without that server.

    Args:
        uri: The store's address, as MLflow is given it.
        artifacts: Address of the folder that the server writes to.
    """
    _folders[uri] = artifacts
    repositories.register(SCHEME, _repository)


def _repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    folder = _folders.get(tracking_uri or mlflow.get_tracking_uri())
    if folder is None:
        return MlflowArtifactsRepository(artifact_uri, tracking_uri, registry_uri)
    return LocalArtifactRepository(f"{folder}{urlsplit(artifact_uri).path}", tracking_uri, registry_uri)
