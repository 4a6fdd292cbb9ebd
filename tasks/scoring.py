"""Tasks that score an inbox: choose the model, list, score, compare, log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifacts import show_rows
from tasks.cluster import cluster_at
from tasks.libraries import load
from tasks.policy import done, flow_run_id, step
from tasks.progress import doing, progress_of
from xray.config import Drift, Places

if TYPE_CHECKING:
    from xray.data.inbox import Inbox
    from xray.evaluation.drift.report import DriftReport
    from xray.scoring.score_inbox import Scored
    from xray.scoring.select_model import Choice


@dataclass(frozen=True)
class Done:
    """What a run over an inbox leaves.

    Attributes:
        choice: The model and why it was chosen.
        scored: Counts and files.
        reports: Drift reports written now: of this run, and of earlier ones that had none.
        run_ids: The MLflow runs made of them.
    """

    choice: Choice
    scored: Scored
    reports: Sequence[DriftReport]
    run_ids: Sequence[str]


@step(name="choose the model")
def choose(places: Places, model_name: str) -> Choice:
    """Take the champion, else the challenger, else the newest version."""
    with doing("choosing the model"):
        load("xray.promotion.protocol").settle(places, model_name)
        choice = load("xray.scoring.select_model").resolve(places, model_name)
    return done(choice, False, f"{choice.uri} ({choice.how})")


@step(name="list scans")
def list_scans(inbox: Path, output: Path, places: Places) -> Inbox:
    """List and digest what lies in the inbox."""
    inboxes = load("xray.data.inbox")
    inboxes.require_outside(output, inbox)
    with doing("listing the inbox"):
        found = inboxes.list_inbox(inbox, places)
    return done(found, False, f"{len(found.digests):,} files")


@step(name="score")
def score_new(
    inbox: Inbox, choice: Choice, output: Path, rescore: bool, places: Places, dask: str | None = None
) -> Scored:
    """Score what is new, on all cores or on a Dask cluster, and write the scores."""
    report, cluster = progress_of("scans"), cluster_at(dask)
    with doing("scoring"):
        scored = load("xray.scoring.score_inbox").score_inbox(places, choice, inbox, output, rescore, report, cluster)
    report(1, 1)  # with nothing new, it is at its end
    show_rows("scored", "What lay in the inbox, and what became of it.", scored.rows())
    return done(scored, scored.new == 0, f"{scored.new:,} new of {scored.found:,} files")


@step(name="report drift")
def report(_scored: Scored, inbox: Path, output: Path, settings: Drift) -> Sequence[DriftReport]:
    """Compare what was scored with what the model was made from."""
    with doing("comparing with the model's own scans"):
        reports = load("xray.scoring.log_to_mlflow").write_reports(output, inbox, settings)
    for each in reports:
        show_rows("drift", each.values()["remark"], each.values()["rows"])
    alarms = sorted({name for each in reports for name in each.values()["alarms"]})
    return done(reports, not reports, f"drift: {', '.join(alarms) or 'no alarm'}")


@step(name="log")
def log_run(scored: Scored, reports: Sequence[DriftReport], choice: Choice, places: Places) -> Done:
    """Tell MLflow, which may be away: the scores are written."""
    with doing("telling MLflow"):
        run_ids = load("xray.scoring.log_to_mlflow").log_entries(places, reports, flow_run_id())
    return done(Done(choice, scored, reports, run_ids), not run_ids, f"{len(run_ids)} MLflow runs")
