"""The run that a registered version comes from, and the scans that it was trained on."""

import json

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from xray.config import Workspace
from xray.data.catalog import Catalog
from xray.files.artifact_folder import MANIFEST
from xray.files.s3 import data_path
from xray.tracking.store import reached, store_of


def run_of_version(workspace: Workspace, model_name: str, version: str) -> Run | None:
    """Find the run of ours that a version comes from, if it comes from one.

    Raises:
        RegistryError: The store cannot be reached.
    """
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        run_id = client.get_model_version(model_name, version).run_id
        try:
            run = client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
    return run if run is not None and "catalog" in run.data.tags else None


def catalog_of(workspace: Workspace, run: Run) -> Catalog | None:
    """Find the catalog of a training's run in the home; None where it is not there."""
    digest = run.data.tags.get("catalog", "")
    folder = workspace.prepared / digest
    if not (folder / MANIFEST).is_file():
        return None
    inputs = run.inputs.dataset_inputs if run.inputs is not None else []
    sources = [entry.dataset.source for entry in inputs if entry.dataset.digest == digest]
    return Catalog(folder, digest, data_path(json.loads(sources[0])["uri"] if sources else ""), reused=True)
