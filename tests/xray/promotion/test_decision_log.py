"""Records as MLflow keeps them."""

import json

import pytest

from tests.xray.promotion.promoters import NAME, with_versions
from xray.config import Places
from xray.promotion.decision_log import MOST_WORDS, Book
from xray.promotion.decision_record import PROMOTE, PROMOTED, REFUSED, Draft


@pytest.fixture
def book(places: Places) -> Book:
    with_versions(places)
    return Book(places, NAME)


def test_a_record_is_read_as_it_was_opened(book: Book) -> None:
    draft = Draft(PROMOTE, PROMOTED, 4, "1", "2", "why not", True, {"margin_auc": 0.1}, "a digest", "a-flow-run")
    record = book.open(draft)
    assert record.draft == draft and record.verdict is None and record.is_intent
    assert book.reread(record) == record
    assert book.records() == [record]
    assert json.loads(json.dumps(record.as_json()))["policy"] == {"margin_auc": 0.1}


def test_no_version_stays_no_version(book: Book) -> None:
    record = book.open(Draft(PROMOTE, REFUSED, 1, None, None))
    assert (record.draft.before, record.draft.after, record.is_intent) == (None, None, False)


def test_a_long_reason_is_cut_to_what_every_store_takes(book: Book) -> None:
    record = book.open(Draft(PROMOTE, PROMOTED, 1, None, "2", "x" * 9_000))
    assert len(record.draft.reason) == MOST_WORDS


def test_more_records_than_a_page_come_whole_and_in_order(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    search = book.client.search_runs
    monkeypatch.setattr(book.client, "search_runs", lambda *a, **k: search(*a, **{**k, "max_results": 2}))
    for number in (3, 1, 2, 5, 4):
        book.open(Draft(PROMOTE, REFUSED, number, None, "2"))
    assert [record.draft.number for record in book.records()] == [1, 2, 3, 4, 5]
