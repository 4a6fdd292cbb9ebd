"""The flows evaluate and recalibrate: registered versions on labelled scans of somewhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from prefect import flow
from pydantic import Field

from flows.naming import run_name, tagged
from flows.schedule import one_line_failure, tell_failure
from tasks.external import Rule, find_versions, fit, measure, read_set, record, register_rule
from xray.config import Data, Registry, Workspace

if TYPE_CHECKING:
    from xray.external.answers import MeasuredVersion
    from xray.external.external_run import ExternalRun
    from xray.external.measure import Measured
    from xray.external.recalibrated_version import RecalibratedVersion
    from xray.external.recalibration import Recalibration

CHAMPION = f"models:/{Registry().model_name}@champion"
Models = Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Evaluated:
    """What came of it, a version each, in the order that was asked for.

    Attributes:
        versions: What was measured.
        measured: The evaluations.
        runs: Where they are found.
        notes: What a reader should know of the scans, in words.
    """

    versions: Sequence["MeasuredVersion"]
    measured: Sequence["Measured"]
    runs: Sequence["ExternalRun"]
    notes: Sequence[str]


@flow(name="evaluate", flow_run_name=run_name, persist_result=False, on_failure=[tell_failure],
      on_crashed=[tell_failure])  # fmt: skip
@tagged
@one_line_failure
def evaluate(
    data: Data,
    others: tuple[Data, ...] = (),
    models: Models = (CHAMPION,),
    learnt: Literal["refuse", "leave-out"] = "refuse",
    home: Path = Path(),
) -> Evaluated:
    """Measure registered versions on labelled scans: what they are worth where these come from.

    Prefect's form shows what stands here beside each field.

    Args:
        data: A folder of labelled scans, or s3://BUCKET/FOLDER, in any layout that a training reads.
        others: Further folders, each a source of its own.
        models: Addresses of versions, models:/NAME/VERSION or models:/NAME@ALIAS.
        learnt: What to do with scans that a version has learnt from.
        home: Folder that holds data/ and mlruns/.

    Returns:
        The figures of each version and where they are found.
    """
    workspace = Workspace(home=home.resolve())
    versions = find_versions(models, workspace)
    labelled = read_set([data, *others], versions, learnt == "leave-out", workspace)
    measured = [measure(version, labelled, workspace) for version in versions]
    runs = []
    for number, (version, found) in enumerate(zip(versions, measured, strict=True)):
        rest = {each.uri: measured[place] for place, each in enumerate(versions) if place != number}
        runs.append(record(version, labelled, found, rest, workspace))
    return Evaluated(versions, measured, runs, labelled.notes)


@dataclass(frozen=True)
class Recalibrated:
    """What came of a recalibration.

    Attributes:
        version: Whose rule was fitted anew.
        found: The rule, and what it is worth.
        made: The new version.
        notes: What a reader should know of the scans, in words.
    """

    version: "MeasuredVersion"
    found: "Recalibration"
    made: "RecalibratedVersion"
    notes: Sequence[str]


@flow(name="recalibrate", flow_run_name=run_name, persist_result=False, on_failure=[tell_failure],
      on_crashed=[tell_failure])  # fmt: skip
@tagged
@one_line_failure
def recalibrate(  # noqa: PLR0913, PLR0917 what Prefect's form asks
    data: Data,
    others: tuple[Data, ...] = (),
    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = (CHAMPION,),
    threshold: str | None = None,
    most_error: float | None = None,
    prevalence: float | None = None,
    learnt: Literal["refuse", "leave-out"] = "refuse",
    home: Path = Path(),
) -> Recalibrated:
    """Fit a registered version's decision rule on labelled scans, and register it as a new version.

    Prefect's form shows what stands here beside each field.

    Args:
        data: A folder of labelled scans, or s3://BUCKET/FOLDER, in any layout that a training reads.
        others: Further folders, each a source of its own.
        models: The version's address, models:/NAME/VERSION or models:/NAME@ALIAS.
        threshold: Rule for the threshold, youden, sensitivity>=X, specificity>=X or cost; empty for the version's own.
        most_error: Refer doubtful scans so that at most this share of the others is wrong; empty for the version's own.
        prevalence: Share of the finding where the model is used, if known.
        learnt: What to do with scans that the version has learnt from.
        home: Folder that holds data/ and mlruns/.

    Returns:
        The rule, what it is worth, and the new version.
    """
    workspace = Workspace(home=home.resolve())
    (version,) = find_versions(models, workspace)
    labelled = read_set([data, *others], [version], learnt == "leave-out", workspace)
    found = fit(version, labelled, Rule(threshold, most_error, prevalence), workspace)
    made = register_rule(version, labelled, found, workspace)
    return Recalibrated(version, found, made, labelled.notes)
