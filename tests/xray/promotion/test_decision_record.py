"""The stack of champions that a rollback goes back through."""

import pytest

from xray.promotion.decision_record import (
    EXTERNAL,
    PROMOTE,
    PROMOTED,
    REFUSED,
    RETURNED,
    WITHDRAWN,
    Decision,
    PlannedDecision,
    champions,
    last_move,
)
from xray.tracking.owning_process import Owner


def record(number: int, verdict: str | None, after: str | None) -> Decision:
    draft = PlannedDecision(PROMOTE, PROMOTED, number, None, after)
    return Decision(
        f"run{number}", draft, Owner("here", 1, 0.0), "me@here", number, verdict, verdict is not None, "", {}
    )


def history(*moves: tuple[str | None, str | None]) -> list[Decision]:
    return [record(number, verdict, after) for number, (verdict, after) in enumerate(moves, start=1)]


@pytest.mark.parametrize(
    ("moves", "stack"),
    [
        ([], []),
        ([(PROMOTED, "1"), (PROMOTED, "2"), (PROMOTED, "3")], ["1", "2", "3"]),
        ([(PROMOTED, "1"), (PROMOTED, "2"), (PROMOTED, "3"), (RETURNED, "2")], ["1", "2"]),
        ([(PROMOTED, "1"), (PROMOTED, "2"), (PROMOTED, "3"), (RETURNED, "2"), (RETURNED, "1")], ["1"]),
        ([(PROMOTED, "1"), (PROMOTED, "2"), (RETURNED, "1"), (PROMOTED, "3")], ["1", "3"]),
        ([(PROMOTED, "1"), (EXTERNAL, "3")], ["1", "3"]),
        ([(PROMOTED, "1"), (EXTERNAL, None)], ["1"]),
        ([(PROMOTED, "1"), (REFUSED, "2"), (WITHDRAWN, "3"), (None, "4")], ["1"]),
        ([(PROMOTED, "1"), (PROMOTED, "2"), (EXTERNAL, "1"), (RETURNED, "2")], ["1", "2"]),
    ],
)
def test_a_promotion_and_a_move_by_hand_push_and_a_rollback_pops(
    moves: list[tuple[str | None, str | None]], stack: list[str]
) -> None:
    assert [made.draft.after for made in champions(history(*moves))] == stack


def test_the_last_move_is_none_that_was_refused_withdrawn_or_is_open() -> None:
    records = history((PROMOTED, "1"), (REFUSED, "2"), (WITHDRAWN, "3"), (None, "4"))
    assert last_move(records) == records[0]
    assert last_move(records[1:]) is None
