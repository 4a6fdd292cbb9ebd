"""Tasks that score an inbox: choose the model, list, score, compare, log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifacts import show_rows
from tasks.cluster.dask_cluster import cluster_at
from tasks.prefect_task import Outcome, flow_run_id, step
from tasks.progress import doing, progress_of
from xray.config import Drift, Workspace

if TYPE_CHECKING:
    from xray.scoring.drift_report import DriftReport
    from xray.scoring.inbox import Inbox
    from xray.scoring.score_inbox import Scored
    from xray.scoring.select_model import SelectedModel


@dataclass(frozen=True)
class InboxResult:
    """What a run over an inbox leaves.

    Attributes:
        choice: The model and why it was chosen.
        scored: Counts and files.
        reports: Drift reports written now: of this run, and of earlier ones that had none.
        run_ids: The MLflow runs made of them.
    """

    choice: SelectedModel
    scored: Scored
    reports: Sequence[DriftReport]
    run_ids: Sequence[str]


@step(name="choose the model")
def choose(workspace: Workspace, model_name: str) -> Outcome[SelectedModel]:
    """Take the champion, else the challenger, else the newest version."""
    from xray.promotion import protocol
    from xray.scoring import select_model

    with doing("choosing the model"):
        protocol.reconcile(workspace, model_name)
        choice = select_model.select_model(workspace, model_name)
    return Outcome(choice, f"{choice.uri} ({choice.how})")


@step(name="list scans")
def list_scans(inbox: Path, output: Path, workspace: Workspace) -> Outcome[Inbox]:
    """List and digest what lies in the inbox."""
    from xray.scoring.inbox import list_inbox, require_outside

    require_outside(output, inbox)
    with doing("listing the inbox"):
        found = list_inbox(inbox, workspace)
    return Outcome(found, f"{len(found.digests):,} files")


@step(name="score")
def score_new(
    inbox: Inbox, choice: SelectedModel, output: Path, rescore: bool, workspace: Workspace, dask: str | None = None
) -> Outcome[Scored]:
    """Score what is new, on all cores or on a Dask cluster, and write the scores."""
    from xray.scoring.score_inbox import score_inbox

    report, cluster = progress_of("scans"), cluster_at(dask)
    with doing("scoring"):
        scored = score_inbox(workspace, choice, inbox, output, rescore, report, cluster)
    report(1, 1)  # with nothing new, it is at its end
    show_rows("scored", "The files of the inbox, and their results.", scored.rows())
    return Outcome(scored, f"{scored.new:,} new of {scored.found:,} files", reused=scored.new == 0)


@step(name="report drift")
def report(_scored: Scored, inbox: Path, output: Path, settings: Drift) -> Outcome[Sequence[DriftReport]]:
    """Compare what was scored with what the model was made from."""
    from xray.scoring import log_to_mlflow

    with doing("comparing with the scans the model was made from"):
        reports = log_to_mlflow.write_reports(output, inbox, settings)
    for each in reports:
        show_rows("drift", each.values()["remark"], each.values()["rows"])
    alarms = sorted({name for each in reports for name in each.values()["alarms"]})
    return Outcome(reports, f"drift: {', '.join(alarms) or 'no alarm'}", reused=not reports)


@step(name="log")
def log_run(
    scored: Scored, reports: Sequence[DriftReport], choice: SelectedModel, workspace: Workspace
) -> Outcome[InboxResult]:
    """Tell MLflow, which may be away: the scores are written."""
    from xray.scoring import log_to_mlflow

    with doing("logging to MLflow"):
        run_ids = log_to_mlflow.log_entries(workspace, reports, flow_run_id())
    return Outcome(InboxResult(choice, scored, reports, run_ids), f"{len(run_ids)} MLflow runs", reused=not run_ids)
