"""One MLflow run for each version that is measured on a labelled set, and what the version's own page says of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics.bootstrap import estimate_of
from xray.evaluation.metrics.names import HEADLINE
from xray.evaluation.metrics.paired_comparison import COLUMNS as COMPARED
from xray.evaluation.metrics.paired_comparison import compare, shared
from xray.evaluation.reporting.page import write_page
from xray.external.answers import MeasuredVersion
from xray.external.external_report import external_page
from xray.external.labelled_set import SPLIT, LabelledSet
from xray.external.measure import COLUMNS, Measured
from xray.external.run_facts import experiment_of, tags_of
from xray.files.atomic import whole_file
from xray.files.checked_io import writing
from xray.runs.report_page import REPORT
from xray.runs.run_context import RunContext
from xray.table import Table
from xray.tracking.run_artifacts import log_final_metrics
from xray.tracking.run_identity import DataSet, RunFacts
from xray.tracking.store import reached
from xray.tracking.test_set_use import code_version, count_evaluation, scans_digest
from xray.tracking.tracker import open_run
from xray.tracking.ui_views import NOTE_TAG

KIND = "external"
MEASURED_TAG = "measured."
"""With the set's digest it is a tag of a version: where it was measured, and how it did."""

HEADING = "## Measured elsewhere"


@dataclass(frozen=True)
class ExternalRun:
    """Where a version's measurement is found.

    Attributes:
        run_id: The MLflow run.
        report: The report page, a file.
    """

    run_id: str
    report: Path


def record_external(
    version: MeasuredVersion,
    labelled: LabelledSet,
    measured: Measured,
    others: Mapping[str, Measured],
    context: RunContext,
) -> ExternalRun:
    """Log a version's evaluation on a labelled set, and say it on the version's page. Once.

    Args:
        version: What was measured.
        labelled: The scans.
        measured: The evaluation.
        others: Of the other versions that were measured on the same scans, by address.
        context: Where the run is kept.

    Raises:
        RegistryError: The store cannot be reached.
        StoreError: A file could not be written.
    """
    report = measured.report()
    tracker = open_run(context.workspace, measured.folder.parent, _facts(version, labelled, measured, context))
    client, run_id = tracker.require()
    count = count_evaluation(tracker, measured.digest, scans_digest(labelled.rows["sha256"]), code_version())
    tables = {f"Against {uri}": each for uri, each in compared(measured, others).items()}
    page = external_page(version, labelled, measured, tables, count.total, run_id)
    with reached(tracker.store):
        log_final_metrics(client, run_id, report["metrics"])
        for path in (measured.folder / "scores.parquet", measured.folder / "evaluation.json"):
            client.log_artifact(run_id, str(path))
        for picture in measured.plots():
            client.log_artifact(run_id, str(picture), "figures")
        html = write_page(page)
        client.log_text(run_id, html, REPORT)
        table = Table(COLUMNS, report["rows"]).markdown()
        client.set_tag(run_id, NOTE_TAG, f"{version.uri} on {labelled.name}\n\n{table}\n\n{page.safety}\n")
        _tell_version(client, version, labelled, report)
    tracker.finish()
    place = measured.folder.parent / REPORT
    with writing(place), whole_file(place) as draft:
        draft.write_text(html, encoding="utf-8")
    return ExternalRun(run_id, place)


def compared(measured: Measured, others: Mapping[str, Measured]) -> dict[str, Table]:
    """Compare a version with others on the scans that both could read, by address: the other first."""
    tables = {}
    for uri, other in others.items():
        first, second = shared(other.scores(), measured.scores())
        try:
            found = compare(
                first, second, (other.report()["threshold"], measured.report()["threshold"]), config.Evaluation()
            )
        except EvaluationError as error:
            tables[uri] = Table(("not compared",), [(str(error),)])
            continue
        tables[uri] = Table(COMPARED, found.rows())
    return tables


def in_words(report: Mapping[str, Any]) -> str:
    """Say in a line how a version did: the figures of a list, with their intervals."""
    found = {name: estimate_of(report["metrics"], f"{SPLIT}.{name}") for name in HEADLINE}
    return ", ".join(f"{name} {each}" for name, each in found.items() if each is not None)


def _facts(version: MeasuredVersion, labelled: LabelledSet, measured: Measured, context: RunContext) -> RunFacts:
    labels = labelled.rows["label"].value_counts()
    return RunFacts(
        experiment=experiment_of(version),
        name=f"{labelled.name}-{version.name}-{version.version}",
        params={},
        tags=tags_of(KIND, version, labelled, context),
        data=DataSet(
            name=labelled.name,
            digest=labelled.digest,
            source=str(labelled.data),
            profile={str(label): int(count) for label, count in labels.items()},
        ),
        evaluation=measured.digest,
    )


def _tell_version(
    client: MlflowClient, version: MeasuredVersion, labelled: LabelledSet, report: Mapping[str, Any]
) -> None:
    """Tag the version, and write its description's last part anew of all such tags."""
    said = {
        "set": labelled.name,
        "scans": len(labelled.rows),
        "patients": labelled.patients,
        "figures": in_words(report),
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    client.set_model_version_tag(version.name, version.version, f"{MEASURED_TAG}{labelled.digest}", json.dumps(said))
    found = client.get_model_version(version.name, version.version)
    tags = {name: json.loads(value) for name, value in found.tags.items() if name.startswith(MEASURED_TAG)}
    own = (found.description or "").partition(HEADING)[0].rstrip()
    lines = _lines(sorted(tags.values(), key=lambda each: (each["on"], each["set"])))
    client.update_model_version(version.name, version.version, f"{own}\n\n{HEADING}\n\n{lines}\n")


def _lines(tags: Sequence[Mapping[str, object]]) -> str:
    return "\n".join(
        f"- {each['set']}, {each['on']}: {each['scans']} scans of {each['patients']} patients; {each['figures']}"
        for each in tags
    )
