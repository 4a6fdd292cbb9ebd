"""The versions of a registered model, each with what a person chooses by."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from xray.config import Places
from xray.registry.decisions import Book
from xray.registry.store import reached

FIGURES = ("auc", "accuracy", "sensitivity", "specificity", "calibration_error")


@dataclass(frozen=True)
class Version:
    """A version in the registry.

    Attributes:
        version: Its number, from "1".
        aliases: Its aliases, in alphabetical order.
        figures: Its run's figures on TEST, of `FIGURES`; those that the run has.
        catalog: Digest of the catalog it was trained on, or "".
        recipe: Its recipe, or "".
        created_ms: When it was registered, Unix milliseconds.
        verdict: What was decided about it last, or "".
        run_id: Its run, or "".
    """

    version: str
    aliases: list[str]
    figures: Mapping[str, float]
    catalog: str
    recipe: str
    created_ms: int
    verdict: str
    run_id: str

    def as_json(self) -> dict[str, Any]:
        """Give the version for a program, JSON-like."""
        return asdict(self)


def versions(places: Places, model_name: str) -> list[Version]:
    """List a model's versions, the newest first.

    Args:
        places: Where MLflow's store lies.
        model_name: The registered model.

    Raises:
        RegistryError: There is no such model, or the store cannot be reached.
    """
    book = Book(places, model_name)
    aliases = book.aliases()
    with reached(book.store):
        found = book.client.search_model_versions(f"name = '{model_name}'")
        listed = [
            Version(
                version=str(each.version),
                aliases=sorted(alias for alias, bearer in aliases.items() if bearer == str(each.version)),
                figures=_figures(book.client, each.run_id),
                catalog=each.tags.get("catalog", ""),
                recipe=each.tags.get("recipe", ""),
                created_ms=int(each.creation_timestamp),
                verdict=each.tags.get("promotion.verdict", ""),
                run_id=each.run_id or "",
            )
            for each in found
        ]
    return sorted(listed, key=lambda each: -int(each.version))


def _figures(client: MlflowClient, run_id: str | None) -> dict[str, float]:
    try:
        metrics = client.get_run(run_id).data.metrics if run_id else {}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        metrics = {}
    return {name: metrics[f"test.{name}"] for name in FIGURES if f"test.{name}" in metrics}
