"""Everything in a run besides its epochs: final metrics, plots, scores, audit, files and the card."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric

from xray.errors import StoreError, by_cause
from xray.labels import finding_in, p_column
from xray.tracking.headline_metrics import in_headline
from xray.tracking.store import reached
from xray.tracking.tracker import Tracker
from xray.tracking.ui_views import NOTE_TAG

TABLES_TAG = "mlflow.loggedArtifacts"
SENT_TAG = "xray.evidence"
"""Names the evidence that is in the run; it comes last."""

SCORES = "scores"
METRICS = "metrics.json"
"""Holds every figure of a run; MLflow's pages have those that people and our own code look for."""

METRICS_A_BATCH = 1000


@dataclass(frozen=True)
class Evidence:
    """What an evaluation leaves in its run.

    Attributes:
        metrics: Every final figure by name.
        plots: PNG files; each becomes `figures/NAME.png`.
        scores: A row a scan.
        files: Files to keep as they are: audit, rejects, history.
        card: The model card, Markdown; also the run's description.
        texts: Further files by name, as text.
    """

    metrics: Mapping[str, float]
    plots: Sequence[Path]
    scores: pd.DataFrame
    card: str
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] = field(default_factory=tuple)


def log_evidence(tracker: Tracker, name: str, make: Callable[[], Evidence]) -> None:
    """Put evidence into the run, unless evidence of this name is there whole.

    To a run that holds whole evidence, another one adds what was not there, and replaces only what is told in words: a
    version's figures and scores are read from its run, and stay what they were when it was registered.

    Args:
        tracker: The run.
        name: Stands for all that the evidence is made of.
        make: Makes the evidence, where it is needed: pictures and page take longer than all else in a reused run.

    Raises:
        RegistryError: The store cannot be reached.
        StoreError: A file could not be written on its way there.
    """
    client, run_id = tracker.require()
    with reached(tracker.store):
        sent = client.get_run(run_id).data.tags.get(SENT_TAG)
        there = _files(client, run_id) if sent else set()
        if sent == name and there:
            return
    evidence = make()
    with reached(tracker.store):
        log_final_metrics(client, run_id, evidence.metrics)
        for picture in evidence.plots:
            if f"figures/{picture.name}" not in there:
                client.log_artifact(run_id, str(picture), "figures")
        if f"{SCORES}.parquet" not in there:
            _log_scores(client, run_id, evidence.scores)
        for path in evidence.files:
            if path.name not in there:
                client.log_artifact(run_id, str(path))
        for text_name, text in {"model_card.md": evidence.card, **evidence.texts}.items():
            client.log_text(run_id, text, text_name)
        client.set_tag(run_id, NOTE_TAG, evidence.card)
        client.set_tag(run_id, SENT_TAG, name)


def log_final_metrics(client: MlflowClient, run_id: str, figures: Mapping[str, float]) -> None:
    """Give a run its final figures: those of the headline as metrics, all of them in the file `METRICS`.

    A figure that the run has already stays what it is.

    Raises:
        MlflowException: The store cannot be reached.
    """
    log_metrics(client, run_id, {name: value for name, value in figures.items() if in_headline(name)})
    kept = metrics_in_file(client, run_id)
    if not figures.keys() <= kept.keys():
        shown = client.get_run(run_id).data.metrics
        same = {name: shown[name] for name in figures if name in shown}
        client.log_text(run_id, json.dumps({**figures, **same, **kept}, indent=2, sort_keys=True), METRICS)


def metrics_in_file(client: MlflowClient, run_id: str) -> dict[str, float]:
    """Read every figure that a run's file has; none, where an older version of this file made all of them metrics.

    Raises:
        MlflowException: The store cannot be reached.
    """
    if METRICS not in {item.path for item in client.list_artifacts(run_id)}:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(client.download_artifacts(run_id, METRICS, scratch))
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def log_metrics(client: MlflowClient, run_id: str, metrics: Mapping[str, float], renewed: bool = False) -> None:
    """Give a run metrics; one that it has already stays what it is.

    Args:
        client: A connected client.
        run_id: The run.
        metrics: By name.
        renewed: Whether another value takes the place of one that is there, for what a run counts while it goes on.

    Raises:
        MlflowException: The store cannot be reached.
    """
    known = client.get_run(run_id).data.metrics
    now = int(time.time() * 1000)
    new = [
        Metric(name, float(value), now, 0)
        for name, value in metrics.items()
        if name not in known or (renewed and known[name] != float(value))
    ]
    for start in range(0, len(new), METRICS_A_BATCH):
        client.log_batch(run_id, metrics=new[start : start + METRICS_A_BATCH], synchronous=True)


def _files(client: MlflowClient, run_id: str) -> set[str]:
    return {item.path for folder in (None, "figures") for item in client.list_artifacts(run_id, folder)}


def _log_scores(client: MlflowClient, run_id: str, scores: pd.DataFrame) -> None:
    """Keep the table as Parquet, and as the JSON that MLflow's UI shows as a table."""
    with tempfile.TemporaryDirectory() as scratch:
        parquet, table = Path(scratch) / f"{SCORES}.parquet", Path(scratch) / f"{SCORES}.json"
        try:
            scores.to_parquet(parquet, index=False)
            # not client.log_table, which appends to a table that is there
            _as_read(scores).to_json(table, orient="split", index=False)
        except OSError as error:
            raise by_cause(StoreError, f"{parquet} could not be written: {error}", error) from error
        for path in (parquet, table):
            client.log_artifact(run_id, str(path))
    client.set_tag(run_id, TABLES_TAG, json.dumps([{"path": f"{SCORES}.json", "type": "table"}]))


def _as_read(scores: pd.DataFrame) -> pd.DataFrame:
    """Order scores for a person: TEST scans before the others, and the highest first."""
    by = {"split": True, p_column(finding_in(scores.columns)): False, "image_id": True}
    there = [name for name in by if name in scores]
    return scores.sort_values(there, ascending=[by[name] for name in there], ignore_index=True)
