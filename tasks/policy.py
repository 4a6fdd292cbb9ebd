"""What all our tasks share: no cache but our own, retries for what can pass, and a state that says what was reused."""

import errno
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import deployment, flow_run
from prefect.settings import get_current_settings
from prefect.states import Completed
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.urls import url_for

from xray.errors import RegistryError

P = ParamSpec("P")
T = TypeVar("T")


PASSING = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.ECONNRESET,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOLCK,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""What a network folder says while it is away; a full disk or a missing right stays."""


def can_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry after a network folder or a store that was away; never after bad data, which stays bad.

    Our own errors say what came in one line and keep as their cause what raised it, which is what decides.
    """
    error: object = state.data
    while isinstance(error, BaseException):
        if isinstance(error, (ConnectionError, TimeoutError)):
            return True
        if isinstance(error, OSError) and error.errno in PASSING:
            return True
        if isinstance(error, RegistryError) and error.__cause__ is not None:  # A store that did not answer.
            return True
        error = error.__cause__
    return False


def step(name: str) -> Callable[[Callable[P, T]], Task[P, T]]:
    """Make the decorator of every task.

    Args:
        name: What Prefect's UI calls it.
    """
    return task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=3,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_condition_fn=can_pass,
    )


def done(result: T, reused: bool, message: str) -> T:
    """End a task, in a state that is named `Reused` where nothing had to be done again.

    Args:
        result: What the task gives to the flow.
        reused: Whether it was there already.
        message: What a person reads beside the state.

    Returns:
        The final state. It is typed as what it carries, since Prefect hands that on to the next task; a flow takes it
        out of its last one with `outcome`.
    """
    state: State[T] = Completed(name="Reused" if reused else "Completed", message=message, data=result)
    return cast(T, state)


def outcome(result: T) -> T:
    """Take out what a task gave, to return it from a flow."""
    return cast(T, result.result()) if isinstance(result, State) else result


def flow_run_id() -> str | None:
    """Name the Prefect flow run that this is part of, if any."""
    return flow_run.get_id() or None


def flow_run_page() -> str | None:
    """Give the address of this flow run's page; None where only a temporary server knows the run, or there is none."""
    run_id = flow_run_id()
    if run_id is None or get_current_settings().api.url is None:
        return None
    return url_for("flow-run", obj_id=run_id)


def asked_by(name: str) -> str:
    """Say who asked for a run that came through Prefect, whose process belongs to the worker's user.

    Args:
        name: Who, as the form or the command was told; "" where nobody was named.

    Returns:
        Words for a history; "" where the run is a command of the user's own, who needs no name.
    """
    return f"{name.strip() or 'somebody'}, through Prefect" if deployment.id else name.strip()
