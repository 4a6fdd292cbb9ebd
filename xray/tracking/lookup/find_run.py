"""Find a run by its id, the first digits of it, its name, or a registered version."""

import re

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from xray.errors import RegistryError

FEWEST_DIGITS = 4
SHOWN_DIGITS = 8
MOST_NAMED = 5

_ID = re.compile(rf"[0-9a-f]{{{FEWEST_DIGITS},32}}")
_VERSION = re.compile(r"(?:models:/)?(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")


def find_run(client: MlflowClient, word: str) -> Run:
    """Find the run that a word names.

    Args:
        client: A connected client.
        word: A run's id or the beginning of one, at least 4 digits; a run's name; or a registered version, as
            `NAME/3`, `NAME@champion`, `models:/NAME/3` or `models:/NAME@champion`.

    Raises:
        RegistryError: It names no run, or several.
        MlflowException: The store cannot be reached.
    """
    version = find_version(client, word)
    if version is not None:
        return client.get_run(str(version.run_id))
    found = _matching(client, f"attributes.run_id LIKE '{word}%'") if _ID.fullmatch(word) else []
    if not found:
        quote = '"' if "'" in word else "'"
        found = _matching(client, f"attributes.run_name = {quote}{word}{quote}")
    if len(found) == 1:
        return found[0]
    if not found:
        raise RegistryError(
            "name a run by its id (at least 4 digits), its name, or a registered version such as NAME/3; "
            f"xray runs lists the last ones. Received: {word}"
        )
    named = ", ".join(shown(run) for run in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    raise RegistryError(f"{word} must name one run: give more digits of its id. Received: {named}{more}")


def find_version(client: MlflowClient, word: str) -> ModelVersion | None:
    """Find the registered version that a word names, as `find_run` takes it; None where it is no version's name.

    Raises:
        RegistryError: No such version is registered, or it comes from no run.
        MlflowException: The store cannot be reached.
    """
    asked = _VERSION.fullmatch(word)
    return None if asked is None else _version(client, asked, word)


def shown(run: Run) -> str:
    """Name a run for a person: its name and the beginning of its id."""
    return f"{run.info.run_name} ({run.info.run_id[:SHOWN_DIGITS]})"


def _matching(client: MlflowClient, words: str) -> list[Run]:
    experiments = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(experiments, words))


def _version(client: MlflowClient, asked: re.Match[str], word: str) -> ModelVersion:
    name, version, alias = asked["name"], asked["version"], asked["alias"]
    try:
        found: ModelVersion = (
            client.get_model_version(name, version) if version else client.get_model_version_by_alias(name, alias)
        )
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise RegistryError(f"no such version is registered; xray models lists them. Received: {word}") from error
    if not found.run_id:
        raise RegistryError(f"a version must come from a run to be compared. Received: {word}")
    return found
