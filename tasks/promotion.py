"""Tasks that evaluate a challenger and change the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.artifacts import show_text
from tasks.prefect_task import Outcome, flow_run_id, step
from tasks.progress import doing, progress_of
from xray.config import Evaluation, Promotion, Workspace
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.files.s3 import DataPath
    from xray.promotion.challenge import ChampionComparison, NotCompared
    from xray.promotion.decision_record import Challenge
    from xray.promotion.outcome import PromotionOutcome


@step(name="find challenger")
def find_challenger(workspace: Workspace, model_name: str, version: int | None) -> Outcome[Challenge]:
    """Reconcile open records, and find challenger and champion."""
    from xray.promotion import promote

    with doing("reading the versions"):
        challenge = promote.find_challenge(workspace, model_name, version)
    return Outcome(challenge, f"version {challenge.challenger} against {challenge.champion or 'no champion'}")


@step(name="judge")
def judge(
    challenge: Challenge,
    workspace: Workspace,
    policy: Promotion,
    data: DataPath | None,
    force: bool,
    on: DataPath | None = None,
) -> Outcome[ChampionComparison | NotCompared]:
    """Score both models on the same scans; a forced promotion continues if that is not possible."""
    from xray.promotion.challenge import NotCompared, compare_with_champion

    try:
        with doing("judging"):
            progress = progress_of("scans")
            comparison = compare_with_champion(workspace, challenge, policy, Evaluation(), data, progress, on)
    except XrayError as error:
        if not force:
            raise
        return Outcome(NotCompared(str(error)), f"not evaluated: {error}")
    failed = sum(not check.held for check in comparison.checks)
    return Outcome(comparison, f"{failed} of {len(comparison.checks)} rules fail")


@step(name="decide")
def decide(
    challenge: Challenge,
    comparison: ChampionComparison | NotCompared,
    workspace: Workspace,
    force: bool,
    reason: str,
    by: str = "",
) -> Outcome[PromotionOutcome]:
    """Change the champion if the policy allows, and record the decision in any case."""
    from xray.promotion import promote

    with doing("deciding"):
        decision = promote.decide(workspace, challenge, comparison, force, reason, flow_run_id(), by)
    show_text("decision", decision.message, decision.markdown())
    return Outcome(decision, decision.message)


@step(name="find previous champion")
def find_champion_before(workspace: Workspace, model_name: str) -> Outcome[Challenge]:
    """Reconcile open records, and find the previous champion."""
    from xray.promotion import promote

    with doing("reading the versions"):
        challenge = promote.find_rollback_target(workspace, model_name)
    return Outcome(challenge, f"version {challenge.challenger} in place of {challenge.champion or 'none'}")


@step(name="roll back")
def roll_back(challenge: Challenge, workspace: Workspace, reason: str, by: str = "") -> Outcome[PromotionOutcome]:
    """Make the previous champion champion again."""
    from xray.promotion import promote

    with doing("rolling back"):
        decision = promote.rollback(workspace, challenge, reason, flow_run_id(), by)
    show_text("decision", decision.message, decision.markdown())
    return Outcome(decision, decision.message)


def ended(decision: PromotionOutcome) -> Any:
    """End a flow in a state named after its result: a refusal is a normal end.

    Args:
        decision: What was decided.

    Returns:
        A completed state, `Promoted`, `Returned`, `Refused` or `Withdrawn`, with the reason as its message. It is typed
        as `Any`, since the flow is typed as what the state carries.
    """
    state: State[PromotionOutcome] = Completed(
        name=str(decision.record.verdict).capitalize(), message=decision.message, data=decision
    )
    return state
