"""Log a scored inbox to MLflow, and read the drift reference from the model's run."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient

from xray import config
from xray.config import Workspace
from xray.errors import DamagedError, RegistryError
from xray.evaluation.drift.reference import FILE as REFERENCE
from xray.evaluation.drift.reference import Reference
from xray.evaluation.reporting.model_card import SAFETY
from xray.files.atomic import whole_file
from xray.files.checked_io import read_parquet, set_aside
from xray.labels import finding_in, p_column
from xray.models.model_files import DIGEST_TAG
from xray.scoring.drift_report import DriftReport, report_drift
from xray.scoring.score_ledger import Entry, unlogged
from xray.tracking.run_artifacts import TABLES_TAG, log_metrics
from xray.tracking.store import Store, reached, store_of
from xray.tracking.ui_views import NOTE_TAG, SCORING

KEY_TAG = "xray.scoring"
TABLE = "drift-table.json"
REFERENCES = ".references"


def digest_of_version(workspace: Workspace, version: str) -> str | None:
    """Read the digest of a version's content; None where it was registered without.

    Args:
        workspace: Where MLflow's store lies.
        version: `NAME/VERSION`.

    Raises:
        RegistryError: It is not registered, or the store cannot be reached.
    """
    store = store_of(workspace)
    client = store.client()
    name, _, number = version.rpartition("/")
    with reached(store):
        return client.get_model_version(name, number).tags.get(DIGEST_TAG)


def fetch_reference(workspace: Workspace, version: str, digest: str | None, ledger: Path) -> None:
    """Keep a model version's reference beside the scores, if its run has one and it does not exist yet.

    Args:
        workspace: Where MLflow's store lies.
        version: `NAME/VERSION`.
        digest: Its content, where that is known.
        ledger: The ledger's folder.

    Raises:
        RegistryError: The store cannot be reached.
    """
    target = _reference(ledger, version, digest)
    if target.exists() and _is_reference(target):
        return
    store = store_of(workspace)
    client = store.client()
    with reached(store), tempfile.TemporaryDirectory() as scratch:
        run_id = _run_of(client, version)
        if run_id is None or REFERENCE not in {item.path for item in client.list_artifacts(run_id)}:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as draft:
            shutil.copy(client.download_artifacts(run_id, REFERENCE, scratch), draft)


def _is_reference(path: Path) -> bool:
    try:
        Reference.read(path)
    except DamagedError as damage:
        set_aside(path, damage.reason, "it is downloaded again")
        return False
    return True


def write_reports(ledger: Path, inbox: Path, settings: config.Drift) -> list[DriftReport]:
    """Write the drift report of each run over an inbox that MLflow does not know yet, the oldest first.

    Args:
        ledger: The ledger's folder.
        inbox: Where the scans lie.
        settings: The alarm's limit, and how many scans are looked at.

    Raises:
        StoreError: A file of the ledger cannot be read, or a report cannot be written.
    """
    reports = []
    for entry in unlogged(ledger):
        reference = _reference(ledger, entry.version, entry.digest)
        reports.append(report_drift(entry, inbox, reference if reference.exists() else None, settings))
    return reports


def log_entries(workspace: Workspace, reports: Sequence[DriftReport], flow_run: str | None = None) -> list[str]:
    """Give each run over an inbox that MLflow does not know an MLflow run of its own: figures, drift and counts.

    No scan's name and no score goes there: they stay in the ledger. Done again, nothing is there twice.

    Args:
        workspace: Where MLflow's store lies.
        reports: The drift reports of the ledger's runs.
        flow_run: The id of the Prefect flow run, if any.

    Returns:
        The ids of the MLflow runs.

    Raises:
        RegistryError: The store cannot be reached; the next run over an inbox logs what is missing.
    """
    store = store_of(workspace)
    run_ids = []
    for report in reports:
        with _scores_are_safe(store, report.entry):
            run_ids.append(_log(store, store.client(), report, flow_run))
        report.entry.mark_logged(run_ids[-1])
    return run_ids


def _log(store: Store, client: MlflowClient, report: DriftReport, flow_run: str | None) -> str:
    entry, values = report.entry, report.values()
    experiment = _experiment(store, client, entry.version)
    found = client.search_runs([experiment], filter_string=f"tags.`{KEY_TAG}` = '{entry.name}'", max_results=1)
    tags = {KEY_TAG: entry.name, "model_version": entry.version, "prefect_flow_run": flow_run}
    tags = {name: value for name, value in tags.items() if value}
    run = found[0] if found else client.create_run(experiment, tags=tags, run_name=f"score-{entry.name}")
    run_id = str(run.info.run_id)
    client.set_tag(run_id, NOTE_TAG, _note(entry, values))
    log_metrics(client, run_id, {**_counts(entry), **_shown(values["metrics"])})
    client.log_artifact(run_id, str(report.folder / "drift.json"))
    for picture in report.plots():
        client.log_artifact(run_id, str(picture), "figures")
    if values["rows"]:
        with tempfile.TemporaryDirectory() as scratch:
            table = Path(scratch) / TABLE
            pd.DataFrame(values["rows"]).to_json(table, orient="split", index=False)
            client.log_artifact(run_id, str(table))
        client.set_tag(run_id, TABLES_TAG, json.dumps([{"path": TABLE, "type": "table"}]))
    client.set_terminated(run_id)
    return run_id


def _shown(drift: Mapping[str, float]) -> dict[str, float]:
    """Leave out what `drift.json` alone has: p-values, moved medians, and the TEST scans that stand beside."""
    return {
        name: value
        for name, value in drift.items()
        if name.startswith("drift.") and name.endswith((".psi", ".ks", ".alarms"))
    }


def _counts(entry: Entry) -> dict[str, float]:
    counts = {"scans": float(entry.scans), "rejects": float(entry.rejected)}
    if not entry.scans:
        return counts
    scores = read_parquet(entry.scores)
    finding = finding_in(scores.columns)
    called, mean = (scores["decision"] == finding).mean(), scores[p_column(finding)].mean()
    return {**counts, f"called_{finding}": float(called), f"mean_{p_column(finding)}": float(mean)}


def _note(entry: Entry, values: Mapping[str, Any]) -> str:
    alarms = ", ".join(values["alarms"]) or "none"
    remark = values["remark"] or f"Features that differ from the scans the model was made from: {alarms}."
    return f"{entry.scans:,} scans scored by {entry.version}, {entry.rejected:,} files rejected. {remark}\n\n{SAFETY}"


def _experiment(store: Store, client: MlflowClient, version: str) -> str:
    run_id = _run_of(client, version)
    name = version.rpartition("/")[0]
    if run_id is not None:
        name = client.get_experiment(client.get_run(run_id).info.experiment_id).name
    return store.experiment(client, name + SCORING)


def _run_of(client: MlflowClient, version: str) -> str | None:
    name, _, number = version.rpartition("/")
    return client.get_model_version(name, number).run_id or None


def _reference(ledger: Path, version: str, digest: str | None) -> Path:
    return ledger / REFERENCES / f"{'-'.join([version.replace('/', '-'), *([digest] if digest else [])])}.parquet"


@contextmanager
def _scores_are_safe(store: Store, entry: Entry) -> Iterator[None]:
    """Say where the scores are when MLflow is away.

    Raises:
        RegistryError: The store cannot be reached.
    """
    try:
        with reached(store):
            yield
    except RegistryError as error:
        raise type(error)(
            f"the scores are saved in {entry.folder}; the next run logs them when MLflow is back. Received: {error}"
        ) from error
