"""Tasks that measure registered versions on labelled scans of somewhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tasks.artifacts import show_table
from tasks.prefect_task import Outcome, flow_run_id, step
from tasks.progress import doing, progress_of
from xray.config import Evaluation, Workspace

if TYPE_CHECKING:
    from xray.external.answers import MeasuredVersion
    from xray.external.external_run import ExternalRun
    from xray.external.labelled_set import LabelledSet
    from xray.external.measure import Measured
    from xray.external.recalibrated_version import RecalibratedVersion
    from xray.external.recalibration import Recalibration
    from xray.files.s3 import DataPath


@dataclass(frozen=True)
class Rule:
    """What a recalibration is asked for; None takes what the version's own training asked for.

    Attributes:
        threshold: As `evaluation.threshold`.
        most_error: As `evaluation.most_error`, 0 to 1.
        prevalence: Share of the finding where the model is used, above 0 and below 1; None leaves it open.
    """

    threshold: str | None = None
    most_error: float | None = None
    prevalence: float | None = None


@step(name="find the versions")
def find_versions(models: Sequence[str], workspace: Workspace) -> Outcome[list[MeasuredVersion]]:
    """Find registered versions by their addresses; each once."""
    from xray.external.answers import find_version

    with doing("reading the versions"):
        found = {each.uri: each for each in (find_version(workspace, uri) for uri in models)}
    return Outcome(list(found.values()), ", ".join(found))


@step(name="read the labelled scans")
def read_set(
    data: Sequence[DataPath], versions: Sequence[MeasuredVersion], leave_out: bool, workspace: Workspace
) -> Outcome[LabelledSet]:
    """Read the folders, with labels and patients, and see that no version has learnt from the scans."""
    from xray.external.evaluate_version import without_learnt
    from xray.external.labelled_set import read_labelled_set

    with doing("reading the labelled scans"):
        found = without_learnt(read_labelled_set(data, workspace), versions, leave_out)
    return Outcome(found, f"{len(found.rows):,} scans of {found.patients:,} patients")


@step(name="measure")
def measure(version: MeasuredVersion, labelled: LabelledSet, workspace: Workspace) -> Outcome[Measured]:
    """Have a version answer on every scan, and judge the answers."""
    from xray.external.evaluate_version import evaluate_version

    with doing(f"measuring {version.uri}"):
        found = evaluate_version(workspace, version, labelled, Evaluation(), progress_of("scans"))
    return Outcome(found, f"{version.uri} on {labelled.name}", reused=found.reused)


@step(name="record")
def record(
    version: MeasuredVersion,
    labelled: LabelledSet,
    measured: Measured,
    others: Mapping[str, Measured],
    workspace: Workspace,
) -> Outcome[ExternalRun]:
    """Log the figures to MLflow, and say them on the version's page."""
    from xray.external.external_run import record_external
    from xray.external.measure import COLUMNS
    from xray.runs.run_context import RunContext

    with doing("logging to MLflow"):
        run = record_external(version, labelled, measured, others, RunContext(workspace, flow_run_id()))
    show_table("external", f"{version.uri} on {labelled.name}.", COLUMNS, measured.report()["rows"])
    return Outcome(run, f"run {run.run_id}")


@step(name="fit")
def fit(version: MeasuredVersion, labelled: LabelledSet, rule: Rule, workspace: Workspace) -> Outcome[Recalibration]:
    """Have a version answer on every scan, and fit its decision rule anew."""
    from xray.external.answers import answered
    from xray.external.recalibrated_version import COLUMNS
    from xray.external.recalibration import recalibrate
    from xray.tracking.run_config import evaluation_of, settings_of

    own = Evaluation() if version.run is None else evaluation_of(settings_of(version.run))
    asked = {name: value for name, value in asdict(rule).items() if value is not None}
    with doing(f"fitting {version.uri}"):
        scores, reading, _ = answered(workspace, version, labelled, progress_of("scans"))
        found = recalibrate(scores, reading, own.model_copy(update={"prevalence": None, **asked}))
    show_table("recalibrated", f"{version.uri} on {labelled.name}.", COLUMNS, found.rows())
    return Outcome(found, f"threshold {found.rule.threshold:.4f}")


@step(name="register the rule")
def register_rule(
    version: MeasuredVersion, labelled: LabelledSet, found: Recalibration, workspace: Workspace
) -> Outcome[RecalibratedVersion]:
    """Register the same weights with the new rule, as a version of its own."""
    from xray.external.recalibrated_version import register_recalibrated
    from xray.runs.run_context import RunContext

    with doing("registering"):
        made = register_recalibrated(version, labelled, found, RunContext(workspace, flow_run_id()))
    return Outcome(made, made.registered.uri, reused=made.registered.reused)
