"""What the MLflow runs of this room are told alike: where they lie, and which version was measured on what."""

from xray.config import Registry
from xray.external.answers import MeasuredVersion
from xray.external.labelled_set import LabelledSet
from xray.runs.run_context import RunContext
from xray.tracking.run_identity import PARENT_TAG, git_commit
from xray.tracking.ui_views import EXTERNAL


def experiment_of(version: MeasuredVersion) -> str:
    """Name the experiment of a version's measurements; a recalibrated version's own run lies in it already."""
    return f"{(version.experiment or Registry().experiment).removesuffix(EXTERNAL)}{EXTERNAL}"


def tags_of(kind: str, version: MeasuredVersion, labelled: LabelledSet, context: RunContext) -> dict[str, str | None]:
    """Give the tags of a run that comes of a version and a labelled set.

    Args:
        kind: What the run is.
        version: Which version.
        labelled: The scans.
        context: Where the run is kept.
    """
    return {
        "kind": kind,
        "model_version": f"{version.name}/{version.version}",
        "measured_on": labelled.name,
        "git_commit": git_commit(),
        "prefect_flow_run": context.flow_run,
        PARENT_TAG: None if version.run is None else str(version.run.info.run_id),
    }
