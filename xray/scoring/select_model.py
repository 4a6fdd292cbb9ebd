"""Which registered model is used: the champion, else the challenger, else the newest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.config import Workspace
from xray.errors import RegistryError
from xray.models.phantom_versions import real_ones
from xray.models.registered_model import CHALLENGER, CHAMPION
from xray.scoring.local_pool import fetched, score_isolated
from xray.tracking.store import reached, store_of

ALIASES = (CHAMPION, CHALLENGER)


@dataclass(frozen=True)
class SelectedModel:
    """A model to score with.

    Attributes:
        uri: Its address.
        version: Version of the registered model; None for an address that names no version.
        how: Why it was chosen, in words: "champion", "challenger", "newest" or "as asked".
    """

    uri: str
    version: str | None
    how: str


def select_model(workspace: Workspace, model_name: str) -> SelectedModel:
    """Choose a version: `@champion`, else `@challenger`, else the newest; one of real scans, where there are some.

    Raises:
        RegistryError: No version of that name is registered, or the store cannot be reached.
    """
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        versions = client.search_model_versions(f"name = '{model_name}'")
        aliases = client.get_registered_model(model_name).aliases if versions else {}
        real = real_ones(client, model_name, workspace)
        others = [] if versions else sorted(each.name for each in client.search_registered_models())
    for alias in ALIASES:
        if alias in aliases:
            return SelectedModel(f"models:/{model_name}/{aliases[alias]}", str(aliases[alias]), alias)
    if not versions:
        named = f"; registered is {', '.join(others)}: --model-name or --model names it" if others else ""
        raise RegistryError(
            f"{model_name} must have a registered version: train one first. Received: none in {store.shown}{named}"
        )
    newest = max(map(int, real or [each.version for each in versions]))
    return SelectedModel(f"models:/{model_name}/{newest}", str(newest), "newest")


def score_files(workspace: Workspace, uri: str, files: Sequence[Path]) -> list[dict[str, Any]]:
    """Score image files with a model, by the code it was kept with: one that was trained before ours changed scores on.

    Args:
        workspace: Where MLflow's store lies.
        uri: The model's address, or a folder that holds it.
        files: Image files.

    Returns:
        An entry a file, in order, with its probabilities and `pyfunc.COLUMNS`.

    Raises:
        RegistryError: There is no such model, the store cannot be reached, or the model's process died.
    """
    with fetched(workspace, uri) as model:
        answer = score_isolated(model, files).drop(columns="sha256")
    answer = answer.astype(object).where(answer.notna(), None)
    rows: list[dict[str, Any]] = answer.to_dict("records")
    return rows
