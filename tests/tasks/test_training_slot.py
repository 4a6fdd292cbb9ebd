"""One training at a time, whoever starts it."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.training_slot import TRAINING, training_turn

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def limit() -> Iterator[None]:
    """The limit that `xray up` makes."""
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=TRAINING, limit=1))
        yield
        client.delete_global_concurrency_limit_by_name(TRAINING)


def holders() -> int:
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(TRAINING).active_slots


def test_without_the_limit_nobody_waits_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "xray"), training_turn():
        pass
    assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == []


def test_a_turn_is_held_and_given_back(limit: None) -> None:
    with training_turn():
        assert holders() == 1
    assert holders() == 0


def test_a_training_that_fails_gives_its_turn_back(limit: None) -> None:
    with pytest.raises(ZeroDivisionError), training_turn():
        raise ZeroDivisionError
    assert holders() == 0


def test_a_training_that_hangs_is_ended_with_its_flow_and_its_turn_is_free(limit: None) -> None:
    @flow(name="hangs", persist_result=False, timeout_seconds=2)
    def hangs() -> None:
        with training_turn():
            assert holders() == 1
            for _ in range(600):
                time.sleep(0.1)

    assert hangs(return_state=True).name == "TimedOut"
    assert holders() == 0


def test_another_waits_and_says_so_and_then_has_its_turn(limit: None, caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []

    def second() -> None:
        with training_turn():
            order.append("second")

    with caplog.at_level(logging.INFO, "xray"):
        with training_turn():
            other = threading.Thread(target=second)
            other.start()
            deadline = time.monotonic() + 60
            while not caplog.records:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            order.append("first")
        other.join(60)
    assert order == ["first", "second"]
    assert [record.message for record in caplog.records] == [
        "Another training is running; this one starts when it has ended"
    ]


def test_what_is_no_training_goes_on_beside(limit: None) -> None:
    with training_turn(), concurrency("scoring", occupy=1):
        assert holders() == 1


def test_under_a_temporary_server_nobody_waits(limit: None) -> None:
    with training_turn(), temporary_settings(restore_defaults={PREFECT_API_URL}), training_turn():
        pass
