"""Make a version the champion, or the one before it again; whatever comes of it is recorded."""

from xray.config import Places
from xray.errors import RegistryError
from xray.evaluation.reporting.run_report import COUNT_METRIC
from xray.models.phantom_versions import is_of_phantoms, real_ones
from xray.models.registered_model import CHALLENGER, CHAMPION
from xray.promotion.challenge import Judgement, Unjudged
from xray.promotion.decision_log import Book
from xray.promotion.decision_record import (
    PROMOTE,
    PROMOTED,
    REFUSED,
    RETURNED,
    ROLLBACK,
    Bout,
    Draft,
    Record,
    champions,
    last_move,
)
from xray.promotion.outcome import Decision
from xray.promotion.protocol import carry_out, settle_book
from xray.tracking.owner import Owner
from xray.tracking.store import reached
from xray.tracking.test_set_use import looks


def bout(places: Places, model_name: str, version: int | None = None) -> Bout:
    """Find out who challenges whom.

    Args:
        places: Where MLflow's store lies.
        model_name: The registered model.
        version: The version that would be champion; None for the one that bears the alias `challenger`.

    Raises:
        RegistryError: There is no such version, no challenger, it is champion already, or the store cannot be reached.
    """
    book = Book(places, model_name)
    settle_book(book)
    aliases = book.aliases()
    challenger = aliases.get(CHALLENGER) if version is None else str(version)
    if challenger is None:
        raise RegistryError(
            f"a version must bear the alias `{CHALLENGER}`, or be named. Received: none of {model_name} does"
        )
    if challenger == aliases.get(CHAMPION):
        raise RegistryError(f"a version must not be champion already. Received: {model_name} version {challenger}")
    _require_real(book, challenger, places)
    last = last_move(book.records())
    return Bout(model_name, challenger, aliases.get(CHAMPION), 1 if last is None else last.draft.number + 1)


def decide(
    places: Places,
    asked: Bout,
    judgement: Judgement | Unjudged,
    force: bool = False,
    reason: str = "",
    flow_run: str | None = None,
    by: str = "",
) -> Decision:
    """Promote a challenger that the policy lets pass, or that somebody forces; record it either way.

    Args:
        places: Where MLflow's store lies.
        asked: Who challenges whom.
        judgement: What came of judging it; only force gets past one that could not be judged.
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
        raise RegistryError("a forced promotion must say why; give a reason. Received: none")
    judged = None if isinstance(judgement, Unjudged) else judgement
    if isinstance(judgement, Unjudged) and not force:
        raise RegistryError(f"a challenger must be judged, or forced. Received: {judgement.why}")
    passes = force or (judged is not None and judged.holds)
    book = Book(places, asked.model_name)

    def describe(record: Record) -> None:
        if judged is not None:
            with reached(book.store):
                looked = looks(book.client, judged.scans)
            evidence = judged.as_json() | {"forced": force, "reason": record.draft.reason}
            book.describe(record, {**judged.metrics(), COUNT_METRIC: looked.total}, evidence)

    draft = Draft(
        kind=PROMOTE,
        planned=PROMOTED if passes else REFUSED,
        number=asked.number,
        before=asked.champion,
        after=asked.challenger,
        reason=_reason(judgement, force, reason),
        forced=force,
        policy={} if judged is None else judged.policy.model_dump(mode="json"),
        scans="" if judged is None else judged.scans,
        flow_run=flow_run,
        by=by,
    )
    return Decision(asked.model_name, _done_already(book, asked) or carry_out(book, draft, describe), judged)


def bout_of_return(places: Places, model_name: str) -> Bout:
    """Find out which version a rollback would make champion again: the one before this one.

    Args:
        places: Where MLflow's store lies.
        model_name: The registered model.

    Raises:
        RegistryError: There is no champion before this one, or the store cannot be reached.
    """
    book = Book(places, model_name)
    settle_book(book)
    records = book.records()
    champion, last = book.champion(), last_move(records)
    stack = champions(records)
    before = stack[:-1] if champion is not None else stack
    if last is None or not before:
        received = "there is no champion" if champion is None else f"version {champion} is the first"
        raise RegistryError(f"rollback needs a champion before this one. Received: {received}")
    version = str(before[-1].draft.after)
    if not book.is_same(before[-1]):
        raise RegistryError(
            "rollback needs the champion before this one as it was; name another one with xray promote. "
            f"Received: version {version} was deleted, and its number is another model's now"
        )
    return Bout(model_name, version, champion, last.draft.number + 1)


def rollback(places: Places, asked: Bout, reason: str = "", flow_run: str | None = None, by: str = "") -> Decision:
    """Make the champion before this one champion again. Done twice it goes two back.

    Args:
        places: Where MLflow's store lies.
        asked: What `bout_of_return` found.
        reason: Why, in words.
        flow_run: The Prefect flow run, if any.
        by: Who asked, where that is another than this process's user.

    Returns:
        The decision: returned, or withdrawn where another move was first.

    Raises:
        RegistryError: The store cannot be reached.
    """
    book = Book(places, asked.model_name)
    draft = Draft(ROLLBACK, RETURNED, asked.number, asked.champion, asked.challenger, reason, flow_run=flow_run, by=by)
    return Decision(asked.model_name, _done_already(book, asked) or carry_out(book, draft))


def _done_already(book: Book, asked: Bout) -> Record | None:
    """Find the move that this process made for the same bout, before a store that failed made it try again."""
    settle_book(book)
    last = last_move(book.records())
    if last is None or (last.draft.number, last.draft.after) != (asked.number, asked.challenger):
        return None
    return last if last.owner == Owner.this() else None


def _reason(judgement: Judgement | Unjudged, force: bool, reason: str) -> str:
    if isinstance(judgement, Unjudged):
        failed = f"not judged: {judgement.why}"
    else:
        failed = "; ".join(str(check) for check in judgement.checks if not check.held)
    words = reason.strip()
    if force:
        return f"{words} (forced{'; ' + failed if failed else ''})"
    return "; ".join(part for part in (failed or "every rule of the policy holds", words) if part)


def _require_real(book: Book, challenger: str, places: Places) -> None:
    version = book.version(challenger)
    with reached(book.store):
        real = real_ones(book.client, book.model_name, places)
        if real and is_of_phantoms(version, places):
            raise RegistryError(
                f"a version that learnt from phantoms must not stand before one of real scans, such as version "
                f"{real[0]}. Received: {book.model_name} version {challenger}"
            )
