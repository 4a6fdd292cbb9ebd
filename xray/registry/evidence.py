"""Everything a run keeps beside its epochs: final figures, pictures, scores, audit, files and the card."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric

from xray.errors import StoreError
from xray.registry.store import reached
from xray.registry.tracking import Tracker

NOTE_TAG = "mlflow.note.content"
TABLES_TAG = "mlflow.loggedArtifacts"
SENT_TAG = "xray.evidence"
"""Names the evidence that is in the run; it comes last."""

SCORES = "scores"
METRICS_A_BATCH = 1000


@dataclass(frozen=True)
class Evidence:
    """What an evaluation leaves in its run.

    Attributes:
        metrics: Final figures by name.
        pictures: PNG files; each becomes `figures/NAME.png`.
        scores: A row a scan.
        files: Files to keep as they are: audit, rejects, history.
        card: The model card, Markdown; also the run's description.
        texts: Further files by name, as text.
    """

    metrics: Mapping[str, float]
    pictures: Sequence[Path]
    scores: pd.DataFrame
    card: str
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] = field(default_factory=tuple)


def log_evidence(tracker: Tracker, name: str, make: Callable[[], Evidence]) -> None:
    """Put evidence into the run, unless evidence of this name is there whole.

    Another one replaces files and adds no second value to a figure.

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
        if client.get_run(run_id).data.tags.get(SENT_TAG) == name:
            return
    evidence = make()
    with reached(tracker.store):
        log_metrics(client, run_id, evidence.metrics)
        for picture in evidence.pictures:
            client.log_artifact(run_id, str(picture), "figures")
        _log_scores(client, run_id, evidence.scores)
        for path in evidence.files:
            client.log_artifact(run_id, str(path))
        for text_name, text in {"model_card.md": evidence.card, **evidence.texts}.items():
            client.log_text(run_id, text, text_name)
        client.set_tag(run_id, NOTE_TAG, evidence.card)
        client.set_tag(run_id, SENT_TAG, name)


def log_metrics(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    """Give a run its final figures; one that it has already gets no second value.

    Raises:
        MlflowException: The store cannot be reached.
    """
    known = client.get_run(run_id).data.metrics
    now = int(time.time() * 1000)
    new = [Metric(name, float(value), now, 0) for name, value in metrics.items() if known.get(name) != float(value)]
    for start in range(0, len(new), METRICS_A_BATCH):
        client.log_batch(run_id, metrics=new[start : start + METRICS_A_BATCH], synchronous=True)


def _log_scores(client: MlflowClient, run_id: str, scores: pd.DataFrame) -> None:
    """Keep the table as Parquet, and as the JSON that MLflow's UI shows as a table."""
    with tempfile.TemporaryDirectory() as scratch:
        parquet, table = Path(scratch) / f"{SCORES}.parquet", Path(scratch) / f"{SCORES}.json"
        try:
            scores.to_parquet(parquet, index=False)
            # not client.log_table, which appends to a table that is there
            scores.to_json(table, orient="split", index=False)
        except OSError as error:
            raise StoreError(f"{parquet} could not be written: {error}") from error
        for path in (parquet, table):
            client.log_artifact(run_id, str(path))
    client.set_tag(run_id, TABLES_TAG, json.dumps([{"path": f"{SCORES}.json", "type": "table"}]))
