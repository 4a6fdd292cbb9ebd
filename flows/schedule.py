"""Scheduled flow runs: skip them if they are too late, and report why they failed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.flows import Flow
from prefect.states import Completed, Failed

from xray.errors import XrayError
from xray.redaction import redacted

P = ParamSpec("P")
T = TypeVar("T")

MOST_HOURS_LATE = 6.0
"""A night's run that has not started by the morning is left to the next night: the machine is wanted by people then."""

LONGEST_SECONDS = 3 * 24 * 60 * 60
"""A flow that trains is ended after three days, whatever it hangs on, so that the next weekly run finds its turn free.
Given again, it goes on from its last finished epoch."""

NIGHT_SECONDS = 20 * 60 * 60
"""A flow of every night is ended before the next one is due. What it has finished by then is kept."""

FAILED_EVENT = "xray.run.failed"
"""Fired once for each run that failed or crashed; an automation can make a notification of it."""

PREFECTS_WORDS = "Flow run encountered an exception: "


def skip_if_stale(most_hours_late: float = MOST_HOURS_LATE) -> Any:
    """Say whether this run comes too late to be of use: the first step of each scheduled flow.

    Runs that a person asked for, or started again, are never late. Prefect has no setting that skips a late run.

    Args:
        most_hours_late: Hours after its time at which a run may still start.

    Returns:
        None, and the flow goes on; or a state named `Skipped`, which the flow returns in place of its result. It is
        typed as `Any` for that reason.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or not context.flow_run.auto_scheduled:
        return None
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(context.flow_run.id)
        due = run.expected_start_time
        if due is None or run.run_count > 1:
            return None
        late = datetime.now(UTC) - due
        if late > timedelta(hours=most_hours_late):
            return _skipped(f"{late.total_seconds() / 3600:.1f} hours late, more than {most_hours_late:g}")
        newer = _newer(client, run, due)
        return _skipped(f"a newer run, {newer.name}, has already started") if newer else None


def one_line_failure(body: Callable[P, T]) -> Callable[P, T]:
    """Make a flow that is refused end in a state whose message is our one line, and nothing around it.

    Args:
        body: The flow's function. Other errors than ours pass, and Prefect words them.
    """

    @wraps(body)
    def run(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return body(*arguments, **named)
        except XrayError as error:
            return cast(
                T, Failed(message=redacted(str(error)), data=error)
            )  # whoever called the flow gets the error itself

    return run


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Fire one event with one readable line for a run that failed or crashed: a hook of each flow.

    Args:
        flow: What ran.
        flow_run: Its run.
        state: How it ended.
    """
    emit_event(
        FAILED_EVENT,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
            "prefect.resource.name": flow_run.name,
        },
        payload={
            "flow": flow.name,
            "deployment": str(flow_run.deployment_id) if flow_run.deployment_id else None,
            "line": _line(state),
        },
    )


def _line(state: State[Any]) -> str:
    return redacted(" ".join((state.message or str(state.name)).removeprefix(PREFECTS_WORDS).split()))


def _skipped(reason: str) -> State[Any]:
    return Completed(name="Skipped", message=f"Not run: {reason}.")


def _newer(client: SyncPrefectClient, run: FlowRun, due: datetime) -> FlowRun | None:
    started = FlowRunFilter(
        expected_start_time=FlowRunFilterExpectedStartTime(after_=due + timedelta(seconds=1)),
        start_time=FlowRunFilterStartTime(is_null_=False),
    )
    if run.deployment_id is None:
        return None
    same = DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id]))
    found = client.read_flow_runs(flow_run_filter=started, deployment_filter=same, limit=1)
    return found[0] if found else None
