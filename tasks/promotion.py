"""Tasks that judge a challenger and move the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.artifacts import show_text
from tasks.policy import Outcome, flow_run_id, step
from tasks.progress import doing, progress_of
from xray.config import Evaluation, Places, Promotion
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.files.s3 import DataPath
    from xray.promotion.challenge import Judgement, Unjudged
    from xray.promotion.decision_record import Bout
    from xray.promotion.outcome import Decision


@step(name="find challenger")
def find_challenger(places: Places, model_name: str, version: int | None) -> Outcome[Bout]:
    """Settle what is open, and find out who challenges whom."""
    from xray.promotion import promote

    with doing("looking up the versions"):
        bout = promote.bout(places, model_name, version)
    return Outcome(bout, f"version {bout.challenger} against {bout.champion or 'no champion'}")


@step(name="judge")
def judge(
    bout: Bout, places: Places, policy: Promotion, data: DataPath | None, force: bool
) -> Outcome[Judgement | Unjudged]:
    """Score both models on the same scans; what is forced goes on where it cannot be judged."""
    from xray.promotion import challenge

    try:
        with doing("judging"):
            judgement = challenge.judge(places, bout, policy, Evaluation(), data, progress_of("scans"))
    except XrayError as error:
        if not force:
            raise
        return Outcome(challenge.Unjudged(str(error)), f"not judged: {error}")
    failed = sum(not check.held for check in judgement.checks)
    return Outcome(judgement, f"{failed} of {len(judgement.checks)} rules do not hold")


@step(name="decide")
def decide(
    bout: Bout, judgement: Judgement | Unjudged, places: Places, force: bool, reason: str, by: str = ""
) -> Outcome[Decision]:
    """Move the champion if the policy lets the challenger pass, and record it either way."""
    from xray.promotion import promote

    with doing("deciding"):
        decision = promote.decide(places, bout, judgement, force, reason, flow_run_id(), by)
    show_text("decision", decision.message, decision.markdown())
    return Outcome(decision, decision.message)


@step(name="find the champion before")
def find_champion_before(places: Places, model_name: str) -> Outcome[Bout]:
    """Settle what is open, and find out which version would return."""
    from xray.promotion import promote

    with doing("looking up the versions"):
        bout = promote.bout_of_return(places, model_name)
    return Outcome(bout, f"version {bout.challenger} in place of {bout.champion or 'none'}")


@step(name="roll back")
def roll_back(bout: Bout, places: Places, reason: str, by: str = "") -> Outcome[Decision]:
    """Make the champion before this one champion again."""
    from xray.promotion import promote

    with doing("rolling back"):
        decision = promote.rollback(places, bout, reason, flow_run_id(), by)
    show_text("decision", decision.message, decision.markdown())
    return Outcome(decision, decision.message)


def ended(decision: Decision) -> Any:
    """End a flow in a state named for its verdict: a refusal is a normal end.

    Args:
        decision: What was decided.

    Returns:
        A completed state, `Promoted`, `Returned`, `Refused` or `Withdrawn`, with the reason as its message. It is typed
        as `Any`, since the flow is typed as what the state carries.
    """
    state: State[Decision] = Completed(
        name=str(decision.record.verdict).capitalize(), message=decision.message, data=decision
    )
    return state
