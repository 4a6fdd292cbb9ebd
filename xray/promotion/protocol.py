"""One move of the champion at a time, over a store whose alias write cannot compare.

Whoever wants to move writes an open record, the intent, and then looks for others. Of two that are open, one at least
sees the other: the later in the order of intents withdraws, the earlier waits until it has. What a dead process left
open is finished by whoever comes next. Why this holds: docs/decisions/0006-promotion-protocol.md.
"""

import contextlib
import os
import time
from collections.abc import Callable

from xray.config import Workspace
from xray.errors import RegistryError
from xray.promotion.decision_log import DecisionLog
from xray.promotion.decision_record import (
    EXTERNAL,
    MOVES,
    PROMOTED,
    RETURNED,
    WITHDRAWN,
    Decision,
    PlannedDecision,
    last_move,
)

PATIENCE_SECONDS = 60.0
"""Longest wait for another move, which takes a few writes."""

ABANDONED_SECONDS = 600.0
"""An intent of another machine, whose processes cannot be seen from here, counts as dead after this."""

ATTEMPTS = 10

_in_flight: set[str] = set()
"""Intents that this very process is carrying out: one that it left behind is dead although the process lives."""


def reconcile(workspace: Workspace, model_name: str) -> None:
    """Reconcile a model's history with its aliases: every command that reads or changes the champion calls it first.

    What a dead process left open is finished: as done where the alias was moved, else as withdrawn. A champion that
    another hand than ours has set is recorded once, as `external`.

    Args:
        workspace: Where MLflow's store lies.
        model_name: The registered model.

    Raises:
        RegistryError: There is no such model, or the store cannot be reached.
    """
    reconcile_log(DecisionLog(workspace, model_name))


def reconcile_log(decision_log: DecisionLog) -> None:
    """As `reconcile`, with a decision log that is already open."""
    for _ in range(ATTEMPTS):
        records = decision_log.records()
        for record in records:
            if not record.closed and not is_alive(record):
                finish(decision_log, record)
        if any(record.is_intent and is_alive(record) for record in records):
            return  # The champion is being moved just now, by somebody who will say so.
        found = _move_by_hand(decision_log)
        if found is None:
            return
        _note_external(decision_log, found)


def carry_out(
    decision_log: DecisionLog, draft: PlannedDecision, describe: Callable[[Decision], None] | None = None
) -> Decision:
    """Open a record and take it to its verdict.

    A draft that plans a move moves the champion, unless another was first or the champion has changed meanwhile.

    Args:
        decision_log: The model's decisions.
        draft: What is decided.
        describe: Puts evidence into the record, before anything moves.

    Returns:
        The record with its verdict.

    Raises:
        RegistryError: The store cannot be reached. The record is then closed later, as what it came to.
    """
    record = decision_log.open(draft)
    _in_flight.add(record.run_id)
    try:
        if describe is not None:
            describe(record)
        if draft.planned in MOVES:
            obstacle = _await_turn(decision_log, record) or _change(decision_log, record)
            if obstacle is not None:
                return decision_log.close(record, WITHDRAWN, obstacle)
            decision_log.move(str(draft.after))
        return _complete(decision_log, record)
    except BaseException:
        with contextlib.suppress(RegistryError):
            finish(decision_log, record)
        raise
    finally:
        _in_flight.discard(record.run_id)


def finish(decision_log: DecisionLog, record: Decision) -> Decision:
    """Give a record that nobody is working on the verdict that is true of it."""
    # The alias is read while the record is open: nobody else moves before the record is closed.
    champion = decision_log.champion()
    now = decision_log.reread(record)
    if now.dropped:
        return now
    if now.verdict is not None:
        return now if now.closed else decision_log.close(now, now.verdict)
    if record.draft.planned not in MOVES or champion == record.draft.after:
        return _complete(decision_log, record)
    return decision_log.close(record, WITHDRAWN, "its process ended before the champion was changed")


def is_alive(record: Decision) -> bool:
    """Say whether the process that opened a record is still there to close it."""
    lives = record.owner.is_alive()
    if lives is None:
        return time.time() - record.at_ms / 1000 < ABANDONED_SECONDS
    return lives and (record.owner.pid != os.getpid() or record.run_id in _in_flight)


def _complete(decision_log: DecisionLog, record: Decision) -> Decision:
    """Write down what was decided, and where the champion moved, what follows; done again it changes nothing."""
    draft = record.draft
    if draft.after is not None:
        decision_log.mark(draft.after, draft.planned, record)
        if draft.planned in MOVES:
            decision_log.end_challenge(draft.after)
    if draft.planned == RETURNED and draft.before is not None:
        decision_log.mark(draft.before, "rolled back", record)
    return decision_log.close(record, draft.planned)


def _await_turn(decision_log: DecisionLog, record: Decision) -> str | None:
    """Wait until no other intent is open; give the reason if an earlier one is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        others = [other for other in decision_log.records() if other.is_intent and other.run_id != record.run_id]
        living = [other for other in others if is_alive(other)]
        for other in others:
            if other not in living:
                finish(decision_log, other)
        first = min(living, key=lambda other: other.order, default=None)
        if first is None:
            return None
        if first.order < record.order:
            return f"another {_spoken(first)} came first"
        if time.monotonic() > deadline:
            return f"another {_spoken(first)} has not ended in {PATIENCE_SECONDS:g} s"
        time.sleep(0.1)


def _change(decision_log: DecisionLog, record: Decision) -> str | None:
    """Say what has changed since a record was drafted, if anything has."""
    if decision_log.reread(record).verdict is not None:
        return "another command considered its process dead"
    champion, last = decision_log.champion(), last_move(decision_log.records())
    if champion != record.draft.before or _number(last) + 1 != record.draft.number:
        who = f", by a {_spoken(last)}" if last is not None and champion == last.draft.after else ""
        return f"the champion has changed since this decision: it is {_version(champion)} now{who}"
    return None


def _move_by_hand(decision_log: DecisionLog) -> PlannedDecision | None:
    """Plan the record of a champion that was set outside xray, if one was."""
    champion, last = decision_log.champion(), last_move(decision_log.records())
    before = last.draft.after if last is not None else None
    if champion == before and (champion is None or last is None or decision_log.is_same(last)):
        return None
    words = "the alias was moved outside xray; there was no evaluation"
    return PlannedDecision(EXTERNAL, EXTERNAL, _number(last) + 1, before, champion, words)


def _note_external(decision_log: DecisionLog, draft: PlannedDecision) -> None:
    """Record a change outside xray, unless another command has recorded it since it was noticed."""
    record = decision_log.open(draft)
    _in_flight.add(record.run_id)
    try:
        if _await_turn(decision_log, record) is None and _is_unchanged(decision_log, record):
            _complete(decision_log, record)
        else:
            decision_log.drop(record)
    finally:
        _in_flight.discard(record.run_id)


def _is_unchanged(decision_log: DecisionLog, record: Decision) -> bool:
    number, champion = _number(last_move(decision_log.records())) + 1, decision_log.champion()
    return (number, champion) == (record.draft.number, record.draft.after) and decision_log.reread(
        record
    ).verdict is None


def _number(record: Decision | None) -> int:
    return record.draft.number if record is not None else 0


def _version(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"


def _spoken(record: Decision) -> str:
    words = {PROMOTED: "promotion", RETURNED: "rollback", EXTERNAL: "change outside xray"}[record.draft.planned]
    return f"{words} to {_version(record.draft.after)} by {record.by}"
