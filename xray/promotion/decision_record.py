"""The record of a decision: its plan, who opened it, its result; and the stack of champions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mlflow.entities import Run

from xray.models.model_files import DIGEST_TAG
from xray.tracking.owning_process import Owner

PROMOTE, ROLLBACK, EXTERNAL = "promote", "rollback", "external"
"""Kinds of records: two that our commands make, and an alias that was moved by hand."""

PROMOTED, REFUSED, RETURNED, WITHDRAWN = "promoted", "refused", "returned", "withdrawn"
"""Verdicts; that of an external record is `external`."""

MOVES = frozenset({PROMOTED, RETURNED, EXTERNAL})
"""Verdicts that say: the champion is another version now."""


@dataclass(frozen=True)
class Challenge:
    """The challenger, and the champion it is compared with.

    Attributes:
        model_name: The registered model.
        challenger: The version that would be champion.
        champion: The version that is, or None where there is none yet.
        number: The place among the moves that a promotion would have.
    """

    model_name: str
    challenger: str
    champion: str | None
    number: int


@dataclass(frozen=True)
class PlannedDecision:
    """What a record is opened with.

    Attributes:
        kind: `PROMOTE`, `ROLLBACK` or `EXTERNAL`.
        planned: The verdict it ends with, if nothing comes between.
        number: Its place among the moves, one more than the last; tells later whether another move came between.
        before: The champion it was decided against, or None.
        after: The version it is about; None where a hand took the alias away.
        reason: Why, in words.
        forced: Whether the policy was overruled.
        policy: The policy's values, or none for a move that is not judged.
        scans: Digest of the scans that judged, or "" where none did.
        flow_run: The Prefect flow run, if any.
        by: Who asked, where that is another than the user of the process that opens it; a record says both.
        digest: The content of `after`, or "" where that is not known: a number is given again after a deletion.
    """

    kind: str
    planned: str
    number: int
    before: str | None
    after: str | None
    reason: str = ""
    forced: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)
    scans: str = ""
    flow_run: str | None = None
    by: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Decision:
    """A decision, or one that is being taken.

    Attributes:
        run_id: Its MLflow run.
        draft: What it was opened with.
        owner: Who opened it.
        by: Who opened it, for a person.
        at_ms: When, Unix milliseconds.
        verdict: How it ended; None while it is open.
        closed: Whether its run has ended, which is the last that is written.
        outcome: Why it ended so, where that differs from the draft's reason.
        metrics: Figures of both models, differences and looks, where it was judged.
        dropped: Whether it was taken back, since another command had written the same.
    """

    run_id: str
    draft: PlannedDecision
    owner: Owner
    by: str
    at_ms: int
    verdict: str | None
    closed: bool
    outcome: str
    metrics: Mapping[str, float]
    dropped: bool = False

    @property
    def is_intent(self) -> bool:
        """Whether it is open and about to move the champion."""
        return self.verdict is None and self.draft.planned in MOVES

    @property
    def order(self) -> tuple[int, str]:
        """Which of two intents goes first: any total order would do."""
        return self.at_ms, self.run_id

    def to_dict(self) -> dict[str, Any]:
        """Give the record for a program, JSON-like."""
        facts = asdict(self.draft) | {"by": self.by, "at_ms": self.at_ms, "verdict": self.verdict}
        return {"record": self.run_id, **facts, "outcome": self.outcome, "metrics": dict(self.metrics)}


def last_move(records: Sequence[Decision]) -> Decision | None:
    """Find the last record that says that the champion moved."""
    return next((record for record in reversed(records) if record.verdict in MOVES), None)


def champions(records: Sequence[Decision]) -> list[Decision]:
    """Give the records that made the champions that a rollback would go back through, the present one last.

    A promotion and a change outside xray put a version on the stack, a rollback takes the last one off.
    """
    stack: list[Decision] = []
    for record in records:
        version = record.draft.after
        if record.verdict == RETURNED and version in [made.draft.after for made in stack]:
            while stack[-1].draft.after != version:
                stack.pop()
        elif record.verdict in MOVES and version is not None:
            stack.append(record)
    return stack


def decision_of(run: Run) -> Decision:
    """Read a record from its MLflow run."""
    tags, params = run.data.tags, run.data.params
    draft = PlannedDecision(
        kind=tags.get("kind", ""),
        planned=tags.get("planned", ""),
        number=int(tags.get("number", 0)),
        before=tags.get("from"),
        after=tags.get("to"),
        reason=tags.get("reason", ""),
        forced=tags.get("forced") == "true",
        policy=json.loads(tags.get("policy", "{}")),
        scans=tags.get("scans", ""),
        flow_run=tags.get("prefect_flow_run"),
        digest=tags.get(DIGEST_TAG, ""),
    )
    owner = Owner(tags.get("host", ""), int(tags.get("pid", 0)), float(tags.get("born", 0)))
    return Decision(
        run_id=run.info.run_id,
        draft=draft,
        owner=owner,
        by=tags.get("by", ""),
        at_ms=int(run.info.start_time),
        verdict=params.get("verdict"),
        closed=run.info.status == "FINISHED",
        outcome=tags.get("outcome", ""),
        metrics=run.data.metrics,
        dropped=run.info.lifecycle_stage == "deleted",
    )
