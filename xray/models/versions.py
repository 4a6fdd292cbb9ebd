"""The versions of a registered model, each with what a person chooses by."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from xray.config import Workspace
from xray.evaluation.metrics.names import SHOWN
from xray.models.registered_model import RegisteredModel
from xray.tracking.lookup.overwritten_metrics import is_overwritten
from xray.tracking.store import reached


@dataclass(frozen=True)
class Version:
    """A version in the registry.

    Attributes:
        version: Its number, from "1".
        aliases: Its aliases, in alphabetical order.
        figures: Its run's figures on TEST, of `names.SHOWN`; those that the run has, and none where they are another's.
        catalog: Digest of the catalog it was trained on, or "".
        recipe: Its recipe, or "".
        created_ms: When it was registered, Unix milliseconds.
        verdict: What was decided about it last, or "".
        run_id: Its run, or "".
        overwritten: Whether an older version of this code wrote another evaluation over its figures.
    """

    version: str
    aliases: list[str]
    figures: Mapping[str, float]
    catalog: str
    recipe: str
    created_ms: int
    verdict: str
    run_id: str
    overwritten: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the version for a program, JSON-like."""
        return asdict(self)


def versions(workspace: Workspace, model_name: str) -> list[Version]:
    """List a model's versions, the newest first.

    Args:
        workspace: Where MLflow's store lies.
        model_name: The registered model.

    Raises:
        RegistryError: There is no such model, or the store cannot be reached.
    """
    model = RegisteredModel(workspace, model_name)
    aliases = model.aliases()
    with reached(model.store):
        found = model.client.search_model_versions(f"name = '{model_name}'")
        listed = [_version(model, each, aliases) for each in found]
    return sorted(listed, key=lambda each: -int(each.version))


def _version(model: RegisteredModel, found: ModelVersion, aliases: Mapping[str, str]) -> Version:
    run = _run_of(model, found)
    overwritten = run is not None and is_overwritten(model.store, run, found)
    metrics = {} if run is None or overwritten else run.data.metrics
    return Version(
        version=str(found.version),
        aliases=sorted(alias for alias, bearer in aliases.items() if bearer == str(found.version)),
        figures={name: metrics[f"test.{name}"] for name in SHOWN if f"test.{name}" in metrics},
        catalog=found.tags.get("catalog", ""),
        recipe=found.tags.get("recipe", ""),
        created_ms=int(found.creation_timestamp),
        verdict=found.tags.get("promotion.verdict", ""),
        run_id=found.run_id or "",
        overwritten=overwritten,
    )


def _run_of(model: RegisteredModel, version: ModelVersion) -> Run | None:
    try:
        return model.client.get_run(version.run_id) if version.run_id else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
