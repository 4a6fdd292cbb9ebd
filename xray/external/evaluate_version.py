"""One version measured on one labelled set, or found as it was measured before."""

from collections.abc import Sequence

from xray import config
from xray.config import Workspace
from xray.errors import EvaluationError
from xray.external.answers import MeasuredVersion, answered
from xray.external.labelled_set import LabelledSet
from xray.external.measure import Measured, found_measured, measured_digest, write_measured
from xray.progress import Progress


def without_learnt(labelled: LabelledSet, versions: Sequence[MeasuredVersion], leave_out: bool) -> LabelledSet:
    """Refuse scans that a version has learnt from, or leave them out.

    Args:
        labelled: The scans.
        versions: All that are measured on them.
        leave_out: Leave them out, of every version's scans.

    Raises:
        EvaluationError: There are such scans, or, when they are left out, no others.
    """
    known = frozenset[str]().union(*(version.learnt or () for version in versions))
    learnt = labelled.rows["sha256"].isin(known)
    away = [version.uri for version in versions if version.learnt is None]
    if away:
        note = (
            f"whether {' and '.join(away)} has learnt from them is not known: its training scans are not in this home"
        )
        labelled = labelled.only(labelled.rows["sha256"].notna(), note)
    if not learnt.any():
        return labelled
    count = f"{int(learnt.sum()):,} of {len(learnt):,}"
    if not leave_out:
        raise EvaluationError(
            "a model must not be measured on scans that it has learnt from; --learnt leave-out measures it on the "
            f"others. Received: {count}"
        )
    if learnt.all():
        raise EvaluationError(f"there must be scans that no model has learnt from. Received: {count}")
    return labelled.only(~learnt, f"{count} scans were left out, since a model has learnt from them")


def evaluate_version(
    workspace: Workspace,
    version: MeasuredVersion,
    labelled: LabelledSet,
    evaluation: config.Evaluation,
    progress: Progress | None = None,
) -> Measured:
    """Measure a version, or find what was measured.

    Args:
        workspace: Where the outcome and MLflow's store lie.
        version: Which one.
        labelled: The scans.
        evaluation: Seed, draws and bins.
        progress: Called with (scans done, of how many).

    Raises:
        DataError: A scan is missing or was changed.
        EvaluationError: The scans are of one label alone.
        RegistryError: The version cannot be loaded, or the store cannot be reached.
        StoreError: The outcome could not be written.
    """
    digest = measured_digest(version.digest, labelled, evaluation)
    found = found_measured(workspace.external, digest)
    if found is not None:
        return found
    scores, reading, notes = answered(workspace, version, labelled, progress)
    said = [*labelled.notes, *notes]
    return write_measured(workspace.external, digest, scores, reading, version.home, said, evaluation)
