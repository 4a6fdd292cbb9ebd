"""A new version of a registered model: the same weights and code, and a decision rule fitted on local scans."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.models import Model

from xray.config import Registry
from xray.errors import RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.drift.reference import FILE as REFERENCE
from xray.evaluation.reporting.model_card import SAFETY
from xray.external.answers import MeasuredVersion
from xray.external.labelled_set import LabelledSet
from xray.external.recalibration import Recalibration
from xray.external.run_facts import experiment_of, tags_of
from xray.files.checked_io import writing
from xray.models.model_files import model_digest
from xray.models.phantom_versions import TAG as PHANTOMS
from xray.models.phantom_versions import real_ones
from xray.models.register import Registered, Registration, register_written
from xray.runs.run_context import RunContext
from xray.scoring.local_pool import fetched
from xray.table import Table
from xray.tracking.run_artifacts import log_final_metrics
from xray.tracking.run_identity import DataSet, RunFacts
from xray.tracking.store import reached
from xray.tracking.tracker import open_run
from xray.tracking.ui_views import NOTE_TAG

KIND = "recalibration"
COLUMNS = ("", "before", "fitted here")
PARENT = "recalibrated_from"
"""Tag of a version: the one whose weights it has."""

INHERITED = ("recipe", "catalog", "normalizer", "training", "git_commit", PHANTOMS)
"""Tags that a version has from the training, which it shares with its parent."""

SETTINGS, NETWORK = Path("artifacts", "settings.json"), Path("artifacts", "model.keras")


@dataclass(frozen=True)
class RecalibratedVersion:
    """What came of a recalibration.

    Attributes:
        run_id: The MLflow run.
        registered: The new version.
    """

    run_id: str
    registered: Registered


def register_recalibrated(
    version: MeasuredVersion, labelled: LabelledSet, found: Recalibration, context: RunContext
) -> RecalibratedVersion:
    """Register a version's weights with another rule, once.

    Args:
        version: Whose weights and code.
        labelled: The scans that the rule was fitted on.
        found: The rule, and what it is worth.
        context: Where the run is kept.

    Raises:
        RegistryError: The version comes from no run of ours, keeps its rule in another way, or the store cannot be
            reached.
    """
    if version.run is None:
        raise RegistryError(f"a version must come from a run of this pipeline. Received: {version.uri}")
    with fetched(context.workspace, version.uri) as parent:
        if not (parent / SETTINGS).is_file() or not (parent / NETWORK).is_file():
            raise RegistryError(f"a version must keep its rule where this code looks for it. Received: {version.uri}")
        settings = _settings(json.loads((parent / SETTINGS).read_text(encoding="utf-8")), found.rule)
        digest = model_digest(parent / NETWORK, settings)
        folder = context.workspace.external / f"rule-{digest}"
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        tracker = open_run(context.workspace, folder, _facts(version, labelled, context))
        client, run_id = tracker.require()
        with reached(tracker.store):
            tags = client.get_model_version(version.name, version.version).tags
            real = real_ones(client, version.name, context.workspace) if tags.get(PHANTOMS) == "true" else []
            _log(client, run_id, version, labelled, found)
        registry = Registry(model_name=version.name, challenger=not real)
        own = {name: tags[name] for name in INHERITED if name in tags}
        own |= {PARENT: f"{version.name}/{version.version}", "recalibrated_on": labelled.name}
        own |= {"recalibrated_scans": str(len(labelled.rows))}
        write = partial(_write, parent, settings)
        registration = Registration(registry, own, _description(version, labelled, found))
        registered = register_written(tracker, digest, write, found.rule.finding, registration)
    tracker.finish()
    return RecalibratedVersion(run_id, registered)


def _settings(kept: Mapping[str, Any], rule: DecisionRule) -> dict[str, Any]:
    """Put a rule into a model's settings, as far as the code that it was kept with knows one."""
    fitted = {**asdict(rule), "classes": list(rule.classes)}
    return {**kept, "reading": {name: fitted.get(name, value) for name, value in kept["reading"].items()}}


def _write(parent: Path, settings: Mapping[str, Any], folder: Path, about: Model) -> None:
    """Copy a kept model with other settings, and say in MLflow's description which run and model it is."""
    shutil.copytree(parent, folder, ignore=shutil.ignore_patterns("registered_model_meta", "__pycache__"))
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2), encoding="utf-8")
    model = Model.load(str(folder))
    model.artifact_path, model.run_id = about.artifact_path, about.run_id
    model.model_uuid, model.model_id = about.model_uuid, about.model_id
    model.metadata = {**(model.metadata or {}), "threshold": settings["reading"]["threshold"]}
    model.save(str(folder / "MLmodel"))


def _facts(version: MeasuredVersion, labelled: LabelledSet, context: RunContext) -> RunFacts:
    run = version.run
    tags = {} if run is None else run.data.tags
    inputs = [] if run is None or run.inputs is None else run.inputs.dataset_inputs
    trained = next((each.dataset for each in inputs if each.dataset.digest == tags.get("catalog")), None)
    source = json.loads(trained.source).get("uri", "") if trained is not None else ""
    return RunFacts(
        experiment=experiment_of(version),
        name=f"rule-{version.name}-{version.version}-on-{labelled.name}",
        params={},
        tags={
            **{name: tags[name] for name in ("recipe", "catalog", "normalizer", "training") if name in tags},
            **tags_of(KIND, version, labelled, context),
        },
        # The scans that it was trained on, whose TEST judges it when it is promoted.
        data=DataSet(
            name=labelled.name if trained is None else trained.name,
            digest=labelled.digest if trained is None else trained.digest,
            source=source or str(labelled.data),
        ),
    )


def _log(
    client: MlflowClient, run_id: str, version: MeasuredVersion, labelled: LabelledSet, found: Recalibration
) -> None:
    log_final_metrics(client, run_id, found.flat())
    client.set_tag(run_id, NOTE_TAG, _description(version, labelled, found))
    if version.run is None:
        return
    parent = str(version.run.info.run_id)
    if REFERENCE in {item.path for item in client.list_artifacts(parent)}:  # new scans go on being compared with it
        with tempfile.TemporaryDirectory() as scratch:
            client.log_artifact(run_id, client.download_artifacts(parent, REFERENCE, scratch))


def _description(version: MeasuredVersion, labelled: LabelledSet, found: Recalibration) -> str:
    return (
        f"The weights and code of {version.name} version {version.version}, with a decision rule that was fitted on "
        f"{len(labelled.rows):,} scans of {labelled.patients:,} patients of {labelled.name}.\n\n"
        f"{Table(COLUMNS, found.rows()).markdown()}\n\n"
        f"Fitted on all of these scans, and judged on scans that a fit has not seen (5 folds by patient). {SAFETY}\n"
    )
