"""Versions trained on phantoms: for trying things out; they never replace a model of real scans."""

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from xray import config
from xray.config import Workspace
from xray.data.catalog import Catalog
from xray.data.phantoms.write_phantoms import has_phantoms

TAG = "xray.phantoms"
"""Of a version: whether it learnt from phantoms, `true` or `false`; missing where it is older than the tag."""


def phantom_tag(catalog: Catalog) -> dict[str, str]:
    """Give the tag of a version that learnt from a catalog."""
    return {TAG: str(has_phantoms(catalog.rows())).lower()}


def is_of_phantoms(version: ModelVersion, workspace: Workspace) -> bool:
    """Say whether a version learnt from phantoms, as far as its tag or its catalog under the home tells."""
    if TAG in version.tags:
        return bool(version.tags[TAG] == "true")
    path = workspace.prepared / version.tags.get("catalog", "") / "catalog.parquet"
    return path.is_file() and has_phantoms(pd.read_parquet(path, columns=["image_id", "source"]))


def real_ones(client: MlflowClient, model_name: str, workspace: Workspace) -> list[str]:
    """List the versions of a registered model that learnt from real scans.

    Raises:
        MlflowException: The store cannot be reached.
    """
    found = client.search_model_versions(f"name = '{model_name}'")
    return [str(each.version) for each in found if not is_of_phantoms(each, workspace)]


def without_alias(
    client: MlflowClient, registry: config.Registry, catalog: Catalog, workspace: Workspace
) -> tuple[config.Registry, str]:
    """Keep the alias `challenger` from a version of phantoms, where the model has versions of real scans.

    Args:
        client: A connected client.
        registry: Under which name it is to be registered, and whether it takes the alias.
        catalog: What it learnt from.
        workspace: Where catalogs lie.

    Returns:
        The same, without the alias where that is so, and why, in words.

    Raises:
        MlflowException: The store cannot be reached.
    """
    real = real_ones(client, registry.model_name, workspace) if has_phantoms(catalog.rows()) else []
    if not real:
        return registry, ""
    words = (
        f"it was trained on phantoms, and version {real[0]} on real scans; "
        "give phantoms their own model name with --set registry.model_name=NAME"
    )
    return registry.model_copy(update={"challenger": False}), words
