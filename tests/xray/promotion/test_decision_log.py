"""Records as MLflow keeps them."""

import json

import pytest

from tests.xray.promotion.promoters import NAME, with_versions
from xray.config import Workspace
from xray.promotion.decision_log import MOST_WORDS, DecisionLog
from xray.promotion.decision_record import PROMOTE, PROMOTED, REFUSED, PlannedDecision


@pytest.fixture
def decision_log(workspace: Workspace) -> DecisionLog:
    with_versions(workspace)
    return DecisionLog(workspace, NAME)


def test_a_record_is_read_as_it_was_opened(decision_log: DecisionLog) -> None:
    draft = PlannedDecision(
        PROMOTE, PROMOTED, 4, "1", "2", "why not", True, {"margin_auc": 0.1}, "a digest", "a-flow-run"
    )
    record = decision_log.open(draft)
    assert record.draft == draft and record.verdict is None and record.is_intent
    assert decision_log.reread(record) == record
    assert decision_log.records() == [record]
    assert json.loads(json.dumps(record.to_dict()))["policy"] == {"margin_auc": 0.1}


def test_no_version_stays_no_version(decision_log: DecisionLog) -> None:
    record = decision_log.open(PlannedDecision(PROMOTE, REFUSED, 1, None, None))
    assert (record.draft.before, record.draft.after, record.is_intent) == (None, None, False)


def test_a_long_reason_is_cut_to_what_every_store_takes(decision_log: DecisionLog) -> None:
    record = decision_log.open(PlannedDecision(PROMOTE, PROMOTED, 1, None, "2", "x" * 9_000))
    assert len(record.draft.reason) == MOST_WORDS


def test_more_records_than_a_page_come_whole_and_in_order(
    decision_log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = decision_log.client.search_runs
    monkeypatch.setattr(decision_log.client, "search_runs", lambda *a, **k: search(*a, **{**k, "max_results": 2}))
    for number in (3, 1, 2, 5, 4):
        decision_log.open(PlannedDecision(PROMOTE, REFUSED, number, None, "2"))
    assert [record.draft.number for record in decision_log.records()] == [1, 2, 3, 4, 5]
