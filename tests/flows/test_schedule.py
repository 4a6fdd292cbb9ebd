"""Late runs are skipped, hung ones are ended, and failures are told in one line."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events import Event
from prefect.events.worker import EventsWorker
from prefect.flow_engine import run_flow
from prefect.states import Completed, Running

from flows.pipeline import pipeline
from flows.schedule import FAILED_EVENT, LONGEST_SECONDS, NIGHT_SECONDS, one_line_failure, skip_if_stale, tell_failure
from flows.scoring import score
from xray.errors import DataError

DAY = 24 * 60 * 60
WEEK = 7 * DAY
WORDS = "the folder must hold scans. Received: none"

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow(name="scheduled", persist_result=False)
def scheduled() -> str:
    if skipped := skip_if_stale():
        return cast(str, skipped)
    return "ran"


def scheduled_runs(*hours_late: float) -> list[FlowRun]:
    """Let the server's own scheduler make the runs of a deployment that was due so long ago, the oldest first."""
    now = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        each = [
            DeploymentScheduleCreate(
                schedule=IntervalSchedule(interval=timedelta(days=999), anchor_date=now - timedelta(hours=hours)),
                slug=f"late-{number}",
            )
            for number, hours in enumerate(hours_late)
        ]
        deployment = client.create_deployment(
            client.create_flow(scheduled), name=f"test-{time.monotonic_ns()}", schedules=each
        )
        span = {"start_time": (now - timedelta(days=5)).isoformat(), "end_time": now.isoformat(), "min_runs": 9}
        client.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment}, json=span)
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        runs = client.read_flow_runs(deployment_filter=only)
    return sorted(runs, key=lambda run: str(run.expected_start_time))


def ended(run: FlowRun) -> State[Any]:
    """Run it here, as the worker's process does."""
    return cast(State[Any], run_flow(scheduled, flow_run=run, return_type="state"))


def force(run: UUID, state: State[Any]) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, state, force=True)


def test_a_run_in_time_goes_on() -> None:
    (run,) = scheduled_runs(0.5)
    assert run.auto_scheduled
    assert ended(run).name == "Completed"


def test_a_run_hours_late_ends_as_skipped_and_says_why() -> None:
    (run,) = scheduled_runs(7)
    state = ended(run)
    assert (state.name, state.type.value) == ("Skipped", "COMPLETED")
    assert state.message == "Not run: 7.0 hours late, more than 6."


def test_a_run_after_a_newer_one_ends_as_skipped() -> None:
    older, newer = scheduled_runs(3, 1)
    assert ended(newer).name == "Completed"
    state = ended(older)
    assert state.name == "Skipped"
    assert newer.name in str(state.message)


def test_a_newer_one_that_has_not_started_skips_nothing() -> None:
    older, _ = scheduled_runs(3, 1)
    assert ended(older).name == "Completed"


def test_a_run_that_a_person_started_again_is_not_late() -> None:
    (run,) = scheduled_runs(7)
    force(run.id, Running())
    force(run.id, Completed())
    assert ended(run).name == "Completed"


def test_a_flow_called_by_a_person_is_never_late() -> None:
    assert scheduled() == "ran"


@flow(name="refused", persist_result=False, on_failure=[tell_failure])
@one_line_failure
def refused(scans: int) -> None:
    raise DataError(WORDS)


@flow(name="broken", persist_result=False, on_failure=[tell_failure])
@one_line_failure
def broken() -> None:
    raise OSError("the disk\nis full")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The events that flows emit, once they are sent; nothing else is changed."""
    sent: list[Event] = []
    keep = EventsWorker.send

    def send(worker: EventsWorker, *items: Event) -> None:
        sent.extend(items)
        keep(worker, *items)

    monkeypatch.setattr(EventsWorker, "send", send)
    return sent


def told(events: list[Event]) -> dict[str, Any]:
    (event,) = [event for event in events if event.event == FAILED_EVENT]
    assert event.resource.id.startswith("prefect.flow-run.")
    return dict(event.payload)


def test_a_refusal_is_the_whole_message_of_the_state_and_of_the_event(events: list[Event]) -> None:
    state = cast(State[Any], refused(1, return_state=True))
    assert (state.name, state.message) == ("Failed", WORDS)
    assert told(events) == {"flow": "refused", "deployment": None, "line": WORDS}


def test_whoever_calls_a_flow_that_is_refused_gets_the_error_itself() -> None:
    with pytest.raises(DataError, match="must hold scans"):
        refused(1)


def test_an_error_of_another_kind_is_told_in_one_line(events: list[Event]) -> None:
    state = cast(State[Any], broken(return_state=True))
    assert state.is_failed()
    assert told(events)["line"] == "OSError: the disk is full"


def test_a_flow_keeps_its_parameters_when_it_speaks_plainly() -> None:
    assert set(refused.parameters.properties) == {"scans"}
    assert set(pipeline.parameters.properties) == {"request", "dask"}


def test_a_flow_that_hangs_is_ended_before_the_next_one_is_due() -> None:
    assert pipeline.timeout_seconds == LONGEST_SECONDS < WEEK
    assert score.timeout_seconds == NIGHT_SECONDS < DAY
