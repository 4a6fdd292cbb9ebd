"""Whether the files of a registered model are still where MLflow's database says."""

import contextlib
import shlex
from typing import NoReturn

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from xray.config import Places, Registry
from xray.errors import RegistryError
from xray.registry.records import DIGEST_TAG
from xray.registry.store import STORE_ERRORS, first_line, store_of

MODEL_FILE = "MLmodel"
"""MLflow's description of a model, without which none is loaded."""

SCHEME = "models:/"


def has_files(client: MlflowClient, version: ModelVersion) -> bool:
    """Say whether a version's files are there, one whose model is no logged one counting as there.

    Raises:
        MlflowException: The store cannot be reached.
    """
    source = str(version.source)
    return not source.startswith(SCHEME) or is_kept(client, source.removeprefix(SCHEME))


def is_kept(client: MlflowClient, model_id: str) -> bool:
    """Say whether a logged model's files are there.

    Raises:
        MlflowException: The store cannot be reached.
    """
    return MODEL_FILE in {file.path for file in client.list_logged_model_artifacts(model_id)}


def refuse(places: Places, uri: str, error: Exception) -> NoReturn:
    """Say why a model could not be fetched, and what mends it.

    Args:
        places: Where the store that it was looked for in lies.
        uri: Its address.
        error: What came.

    Raises:
        RegistryError: Always; with the error as its cause, unless files are gone, which no second try brings back.
    """
    with contextlib.suppress(*STORE_ERRORS):
        client = store_of(places).client()
        version = _version_at(client, uri)
        if version is not None and not has_files(client, version):
            place = client.get_model_version_download_uri(version.name, version.version)
            raise RegistryError(
                f"model {uri} must have its files: put them back, or {_way_on(client, version, places)}. "
                f"Received: nothing in {place}"
            ) from None
    raise RegistryError(f"model {uri} must be loadable. Received: {first_line(error)}") from error


def _version_at(client: MlflowClient, uri: str) -> ModelVersion | None:
    if not uri.startswith(SCHEME):
        return None
    name, at, alias = uri.removeprefix(SCHEME).partition("@")
    if at:
        return client.get_model_version_by_alias(name, alias)
    name, separator, number = name.rpartition("/")
    return client.get_model_version(name, number) if separator else None


def _way_on(client: MlflowClient, lost: ModelVersion, places: Places) -> str:
    """Name the command that goes on without a version's files."""
    digest = lost.tags.get(DIGEST_TAG)
    same = client.search_model_versions(f"name = '{lost.name}' AND tags.{DIGEST_TAG} = '{digest}'") if digest else []
    for version in sorted(same, key=lambda each: -int(each.version)):
        if has_files(client, version):
            named = [] if lost.name == Registry().model_name else ["--model-name", lost.name]
            words = ["xray", "promote", str(version.version), "--force", "--reason", "the same network"]
            command = shlex.join([*words, *named, "--home", str(places.home)])
            return f"take version {version.version}, which is the same network: {command}"
    return (
        "give the xray run again that trained it, which registers its network as a new version without training it "
        "again"
    )
