"""Whether the files of a registered model are still where MLflow's database says, and the ones that were registered."""

import contextlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from xray.config import Registry, Workspace, digest_of
from xray.errors import RegistryError, RegistryUnavailable
from xray.files.digest import file_sha256
from xray.tracking.store import STORE_ERRORS, first_line, store_of

DIGEST_TAG = "model_digest"
"""Of a version and of a record: the content of the model, network and settings."""

MODEL_FILE = "MLmodel"
"""MLflow's description of a model, without which none is loaded."""

SCHEME = "models:/"


def model_digest(network: Path, settings: Mapping[str, Any]) -> str:
    """Name a model by its content: the bytes of its `model.keras` and the scorer's settings, JSON-like.

    Raises:
        OSError: The file cannot be read.
    """
    return digest_of({"model": file_sha256(network), **settings})


def is_kept(client: MlflowClient, model_id: str, digest: str | None) -> bool:
    """Say whether a logged model's files are there, and are the ones that were logged.

    Args:
        client: The store's.
        model_id: Which model.
        digest: Its content, compared where its files lie on a disk that this process reads itself; None where it is
            not known.

    Raises:
        MlflowException: The store cannot be reached.
    """
    if MODEL_FILE not in {file.path for file in client.list_logged_model_artifacts(model_id)}:
        return False
    if digest is None:
        return True
    files = get_artifact_repository(client.get_logged_model(model_id).artifact_location)
    return not isinstance(files, LocalArtifactRepository) or _content(Path(files.artifact_dir)) == digest


def is_whole(client: MlflowClient, version: ModelVersion) -> bool:
    """Say whether a version's files are there, and are the ones that were registered.

    One whose model is no logged one is taken for whole; of one that does not name its content, the files must be there.

    Raises:
        MlflowException: The store cannot be reached.
    """
    source, digest = str(version.source), version.tags.get(DIGEST_TAG)
    return not source.startswith(SCHEME) or is_kept(client, source.removeprefix(SCHEME), digest)


def require_registered(workspace: Workspace, uri: str, folder: Path) -> None:
    """Refuse a version's fetched files where they are not the ones that were registered.

    Args:
        workspace: Where the store that they come from lies.
        uri: The model's address; of one that is no version, nothing is known.
        folder: Where its files lie now.

    Raises:
        RegistryError: They differ.
        MlflowException: The store cannot be reached.
    """
    client = store_of(workspace).client()
    version = _version_at(client, uri)
    digest = version.tags.get(DIGEST_TAG) if version is not None else None
    if version is not None and digest is not None and _content(folder) != digest:
        _refuse_damaged(client, version, workspace, uri, "they differ")


def refuse(workspace: Workspace, uri: str, error: Exception) -> NoReturn:
    """Say why a model could not be fetched, and what mends it.

    Args:
        workspace: Where the store that it was looked for in lies.
        uri: Its address.
        error: What came.

    Raises:
        RegistryError: Always; `Unavailable` unless files are gone, which no second try brings back.
    """
    with contextlib.suppress(*STORE_ERRORS):
        client = store_of(workspace).client()
        version = _version_at(client, uri)
        if version is not None and not is_whole(client, version):
            _refuse_damaged(client, version, workspace, uri, "no or not all files")
    raise RegistryUnavailable(f"model {uri} must be loadable. Received: {first_line(error)}") from error


def _refuse_damaged(
    client: MlflowClient, version: ModelVersion, workspace: Workspace, uri: str, found: str
) -> NoReturn:
    place = client.get_model_version_download_uri(version.name, version.version)
    way_on = _way_on(client, version, workspace)
    raise RegistryError(
        f"model {uri} must have its registered files: restore them, or {way_on}. Received: {found} in {place}"
    ) from None


def _content(folder: Path) -> str | None:
    """Name the content of a kept model's folder; None where a part of it is missing or cannot be read."""
    kept = folder / "artifacts"
    try:
        return model_digest(kept / "model.keras", json.loads((kept / "settings.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _version_at(client: MlflowClient, uri: str) -> ModelVersion | None:
    if not uri.startswith(SCHEME):
        return None
    name, at, alias = uri.removeprefix(SCHEME).partition("@")
    if at:
        return client.get_model_version_by_alias(name, alias)
    name, separator, number = name.rpartition("/")
    return client.get_model_version(name, number) if separator else None


def _way_on(client: MlflowClient, lost: ModelVersion, workspace: Workspace) -> str:
    """Name the command that goes on without a version's files."""
    digest = lost.tags.get(DIGEST_TAG)
    same = client.search_model_versions(f"name = '{lost.name}' AND tags.{DIGEST_TAG} = '{digest}'") if digest else []
    for version in sorted(same, key=lambda each: -int(each.version)):
        if is_whole(client, version):
            named = [] if lost.name == Registry().model_name else ["--model-name", lost.name]
            words = ["xray", "promote", str(version.version), "--force", "--reason", "the same network"]
            command = shlex.join([*words, *named, "--home", str(workspace.home)])
            return f"take version {version.version}, which is the same network: {command}"
    return "repeat the xray run that trained it; that registers its network as a new version without training it again"
