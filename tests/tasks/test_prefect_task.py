"""What can pass is tried again, what is wrong stays wrong, and a state says what was reused."""

import errno
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from tasks.prefect_task import Outcome, Step, flow_run_id, flow_run_page, requested_by, step
from xray.errors import (
    DataError,
    ImageError,
    RegistryError,
    RegistryUnavailable,
    S3Error,
    S3Unavailable,
    StoreError,
    TrainingError,
    by_cause,
)

pytestmark = pytest.mark.usefixtures("prefect_server")


class Calls:
    """A body for a task: fails the first few times, and counts."""

    def __init__(self, error: Exception, failures: int) -> None:
        self.error, self.failures, self.count = error, failures, 0

    def __call__(self) -> str:
        self.count += 1
        if self.count <= self.failures:
            raise self.error
        return "through"


def at_once(body: Callable[[], Any]) -> Any:
    """A task with our policy, apart from the waiting."""

    def tried() -> Outcome[Any]:
        return Outcome(body(), "")

    return Step(step(name="tried")(tried).task.with_options(retry_delay_seconds=0))


AWAY = RegistryUnavailable("tracking store must answer")
STALE, FULL = OSError(errno.ESTALE, "stale file handle"), OSError(errno.ENOSPC, "no space left")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "a network folder was away"),
        ConnectionResetError("gone"),
        by_cause(StoreError, "must be writable", STALE),
        by_cause(DataError, "must be readable", STALE),
        S3Unavailable("s3://scans must be reachable"),
        AWAY,
    ],
)
def test_what_can_pass_is_tried_again(error: Exception) -> None:
    calls = Calls(error, failures=2)
    assert at_once(calls)() == "through"
    assert calls.count == 3


@pytest.mark.parametrize(
    "error",
    [
        DataError("no column"),
        TrainingError("one class"),
        by_cause(StoreError, "must have room", FULL),
        S3Error("s3://scans must be open to the credentials"),
        RegistryError("there is no such model"),
        ImageError("unreadable", "cut"),
        KeyError(),
    ],
)
def test_what_is_wrong_stays_wrong(error: Exception) -> None:
    calls = Calls(error, failures=9)
    with pytest.raises(type(error)):
        at_once(calls)()
    assert calls.count == 1


def test_what_does_not_pass_ends_with_its_own_error_after_three_more_tries() -> None:
    calls = Calls(AWAY, failures=9)
    with pytest.raises(RegistryError, match="must answer"):
        at_once(calls)()
    assert calls.count == 4


def test_each_try_waits_longer_than_the_one_before() -> None:
    waits = step(name="tried")(lambda: Outcome(None, "")).task.retry_delay_seconds
    assert waits == [2, 4, 8]


@pytest.mark.parametrize(("reused", "name"), [(True, "Reused"), (False, "Completed")])
def test_a_state_says_whether_its_result_was_there_already(reused: bool, name: str) -> None:
    @step(name="counted")
    def counted() -> Outcome[int]:
        return Outcome(7, "7 scans", reused)

    state = counted.task(return_state=True)
    assert (state.name, state.message, state.is_completed()) == (name, "7 scans", True)
    assert state.result() == 7


def test_a_flow_hands_on_what_a_state_carries() -> None:
    @step(name="first")
    def first() -> Outcome[int]:
        return Outcome(7, "there already", reused=True)

    @step(name="second")
    def second(number: int) -> Outcome[int]:
        return Outcome(number + 1, "one more")

    @flow(persist_result=False)
    def both() -> int:
        return second(first())

    assert both() == 8


def test_a_call_gives_the_bare_value_and_prefect_knows_whose_it_is() -> None:
    @step(name="first")
    def first() -> Outcome[list[int]]:
        return Outcome([1, 2], "two")

    @step(name="second")
    def second(numbers: list[int]) -> Outcome[int]:
        return Outcome(sum(numbers), "summed")

    @flow(persist_result=False)
    def both() -> UUID | None:
        numbers = first()
        assert numbers == [1, 2]
        return second.task(numbers, return_state=True).state_details.task_run_id

    run_id = both()
    assert run_id is not None
    with get_client(sync_client=True) as client:
        (source,) = client.read_task_run(run_id).task_inputs["numbers"]
    assert source.input_type == "task_run"


def test_a_flow_run_is_named_within_it_and_not_outside() -> None:
    @flow(persist_result=False)
    def named() -> str | None:
        return flow_run_id()

    state = named(return_state=True)
    assert state.result() == str(state.state_details.flow_run_id)
    assert flow_run_id() is None


def test_a_flow_runs_page_is_named_within_it_and_not_outside() -> None:
    @flow(persist_result=False)
    def named() -> str | None:
        return flow_run_page()

    state = named(return_state=True)
    page = state.result()
    assert page is not None and page.startswith("http")
    assert page.endswith(f"/runs/flow-run/{state.state_details.flow_run_id}")
    assert flow_run_page() is None


class TestAskedBy:
    def test_a_command_of_ones_own_needs_no_name(self) -> None:
        assert requested_by("") == ""
        assert requested_by(" Ada ") == "Ada"

    def test_what_came_through_prefect_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "a deployment")
        assert requested_by("") == "somebody, through Prefect"
        assert requested_by("Ada") == "Ada, through Prefect"
