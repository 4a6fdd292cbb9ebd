"""Promotion and rollback: change the champion, and record the decision."""

from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.reporting.run_report import COUNT_METRIC
from xray.models.phantom_versions import is_of_phantoms, real_ones
from xray.models.registered_model import CHALLENGER, CHAMPION
from xray.promotion.challenge import ChampionComparison, NotCompared
from xray.promotion.decision_log import DecisionLog
from xray.promotion.decision_record import (
    PROMOTE,
    PROMOTED,
    REFUSED,
    RETURNED,
    ROLLBACK,
    Challenge,
    Decision,
    PlannedDecision,
    champions,
    last_move,
)
from xray.promotion.outcome import PromotionOutcome
from xray.promotion.protocol import carry_out, reconcile_log
from xray.tracking.owning_process import Owner
from xray.tracking.store import reached
from xray.tracking.test_set_use import count_evaluations


def find_challenge(workspace: Workspace, model_name: str, version: int | None = None) -> Challenge:
    """Find the challenger and the champion.

    Args:
        workspace: Where MLflow's store lies.
        model_name: The registered model.
        version: The version that would be champion; None for the one that bears the alias `challenger`.

    Raises:
        RegistryError: There is no such version, no challenger, it is champion already, or the store cannot be reached.
    """
    decision_log = DecisionLog(workspace, model_name)
    reconcile_log(decision_log)
    aliases = decision_log.aliases()
    challenger = aliases.get(CHALLENGER) if version is None else str(version)
    if challenger is None:
        raise RegistryError(
            f"name a version, because none has the alias `{CHALLENGER}`. Received: no version of {model_name} has it"
        )
    if challenger == aliases.get(CHAMPION):
        raise RegistryError(f"the version must not be champion already. Received: {model_name} version {challenger}")
    _require_real(decision_log, challenger, workspace)
    last = last_move(decision_log.records())
    return Challenge(model_name, challenger, aliases.get(CHAMPION), 1 if last is None else last.draft.number + 1)


def decide(
    workspace: Workspace,
    asked: Challenge,
    comparison: ChampionComparison | NotCompared,
    force: bool = False,
    reason: str = "",
    flow_run: str | None = None,
    by: str = "",
) -> PromotionOutcome:
    """Promote a challenger that the policy lets pass, or that somebody forces; record it either way.

    Args:
        workspace: Where MLflow's store lies.
        asked: Who challenges whom.
        comparison: What came of judging it; only force gets past one that could not be judged.
        force: Whether to promote it whatever the judgement says.
        reason: Why; needed with `force`.
        flow_run: The Prefect flow run, if any.
        by: Who asked, where that is another than this process's user.

    Returns:
        The decision: promoted, refused, or withdrawn where another move was first.

    Raises:
        RegistryError: Force without a reason, no judgement without force, or the store cannot be reached.
    """
    if force and not reason.strip():
        raise RegistryError("a forced promotion must have a reason. Received: none")
    evaluated = None if isinstance(comparison, NotCompared) else comparison
    if isinstance(comparison, NotCompared) and not force:
        raise RegistryError(f"a challenger must be evaluated, or forced. Received: {comparison.why}")
    passes = force or (evaluated is not None and evaluated.holds)
    decision_log = DecisionLog(workspace, asked.model_name)

    def describe(record: Decision) -> None:
        if evaluated is not None:
            with reached(decision_log.store):
                looked = count_evaluations(decision_log.client, evaluated.scans)
            evidence = evaluated.to_dict() | {"forced": force, "reason": record.draft.reason}
            decision_log.describe(record, {**evaluated.metrics(), COUNT_METRIC: looked.total}, evidence)

    draft = PlannedDecision(
        kind=PROMOTE,
        planned=PROMOTED if passes else REFUSED,
        number=asked.number,
        before=asked.champion,
        after=asked.challenger,
        reason=_reason(comparison, force, reason),
        forced=force,
        policy={} if evaluated is None else evaluated.policy.model_dump(mode="json"),
        scans="" if evaluated is None else evaluated.scans,
        flow_run=flow_run,
        by=by,
    )
    return PromotionOutcome(
        asked.model_name, _done_already(decision_log, asked) or carry_out(decision_log, draft, describe), evaluated
    )


def find_rollback_target(workspace: Workspace, model_name: str) -> Challenge:
    """Find out which version a rollback would make champion again: the one before this one.

    Args:
        workspace: Where MLflow's store lies.
        model_name: The registered model.

    Raises:
        RegistryError: There is no champion before this one, or the store cannot be reached.
    """
    decision_log = DecisionLog(workspace, model_name)
    reconcile_log(decision_log)
    records = decision_log.records()
    champion, last = decision_log.champion(), last_move(records)
    stack = champions(records)
    before = stack[:-1] if champion is not None else stack
    if last is None or not before:
        received = "no champion" if champion is None else f"version {champion}, which is the first"
        raise RegistryError(f"rollback needs a previous champion. Received: {received}")
    version = str(before[-1].draft.after)
    if not decision_log.is_same(before[-1]):
        raise RegistryError(
            "rollback needs the previous champion unchanged; promote another version with xray promote. "
            f"Received: version {version} was deleted, and its number now belongs to another model"
        )
    return Challenge(model_name, version, champion, last.draft.number + 1)


def rollback(
    workspace: Workspace, asked: Challenge, reason: str = "", flow_run: str | None = None, by: str = ""
) -> PromotionOutcome:
    """Make the previous champion champion again; a second time goes one further back.

    Args:
        workspace: Where MLflow's store lies.
        asked: What `find_rollback_target` found.
        reason: Why, in words.
        flow_run: The Prefect flow run, if any.
        by: Who asked, where that is another than this process's user.

    Returns:
        The decision: returned, or withdrawn where another move was first.

    Raises:
        RegistryError: The store cannot be reached.
    """
    decision_log = DecisionLog(workspace, asked.model_name)
    draft = PlannedDecision(
        ROLLBACK, RETURNED, asked.number, asked.champion, asked.challenger, reason, flow_run=flow_run, by=by
    )
    return PromotionOutcome(asked.model_name, _done_already(decision_log, asked) or carry_out(decision_log, draft))


def _done_already(decision_log: DecisionLog, asked: Challenge) -> Decision | None:
    """Find the change already made for this challenge, when a failed store makes this process retry."""
    reconcile_log(decision_log)
    last = last_move(decision_log.records())
    if last is None or (last.draft.number, last.draft.after) != (asked.number, asked.challenger):
        return None
    return last if last.owner == Owner.this() else None


def _reason(comparison: ChampionComparison | NotCompared, force: bool, reason: str) -> str:
    if isinstance(comparison, NotCompared):
        failed = f"not evaluated: {comparison.why}"
    else:
        failed = "; ".join(str(check) for check in comparison.checks if not check.held)
    words = reason.strip()
    if force:
        return f"{words} (forced{'; ' + failed if failed else ''})"
    return "; ".join(part for part in (failed or "every rule of the policy passes", words) if part)


def _require_real(decision_log: DecisionLog, challenger: str, workspace: Workspace) -> None:
    version = decision_log.version(challenger)
    with reached(decision_log.store):
        real = real_ones(decision_log.client, decision_log.model_name, workspace)
        if real and is_of_phantoms(version, workspace):
            raise RegistryError(
                f"a version trained on phantoms must not replace one trained on real scans, such as version "
                f"{real[0]}. Received: {decision_log.model_name} version {challenger}"
            )
