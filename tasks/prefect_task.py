"""What all our tasks share: no cache but our own, retries for what can pass, and a state that says what was reused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, Generic, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run
from prefect.settings import get_current_settings
from prefect.states import Completed
from prefect.task_runners import TaskRunner
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.urls import url_for

from xray.errors import is_transient

P = ParamSpec("P")
T = TypeVar("T")


def retry_if_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry after a network folder or a store that was away; never after bad data, which stays bad."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a task ends with.

    Attributes:
        value: What the flow goes on with.
        message: What a person reads beside the task's state.
        reused: Whether it was there already; the state is named `Reused` then.
    """

    value: T
    message: str
    reused: bool = False

    def state(self) -> State[T]:
        """Give the final state that Prefect keeps."""
        return Completed(name="Reused" if self.reused else "Completed", message=self.message, data=self.value)


class Step(Generic[P, T]):
    """A task of ours; called in a flow it gives the value of its outcome, and its state says whether that was reused.

    Attributes:
        task: The Prefect task behind it.
    """

    def __init__(self, task: Task[P, State[T]]) -> None:
        """Wrap a task whose body ends in the state of an outcome."""
        self.task = task

    def __call__(self, *given: P.args, **named: P.kwargs) -> T:
        """Run the task here and now."""
        return Call(self.task.name, self.task, given, named).here()

    def call(self, name: str, *given: P.args, **named: P.kwargs) -> "Call[T]":
        """Name a run of the task that is still to come, with its arguments."""
        return Call(name, self.task.with_options(task_run_name=name), given, named)


@dataclass(frozen=True)
class Call(Generic[T]):
    """A run of a task that is still to come.

    Attributes:
        name: What Prefect's UI calls it.
        task: The task, under that name.
        given: Its arguments.
        named: Those that are given by name.
    """

    name: str
    task: Task[..., State[T]]
    given: Sequence[Any]
    named: Mapping[str, Any]

    def here(self) -> T:
        """Run it here and now."""
        return self.task(*self.given, **self.named).result()

    def submitted(self, runner: TaskRunner[Any]) -> PrefectFuture[T]:
        """Hand it to a task runner, whose future gives the value."""
        return runner.submit(self.task, signature(self.task.fn).bind(*self.given, **self.named).arguments)


def step(name: str) -> Callable[[Callable[P, Outcome[T]]], Step[P, T]]:
    """Make the decorator of every task.

    Args:
        name: What Prefect's UI calls it.
    """

    def made(body: Callable[P, Outcome[T]]) -> Step[P, T]:
        @wraps(body)
        def run(*given: P.args, **named: P.kwargs) -> State[T]:
            return body(*given, **named).state()

        policy = task(
            name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=3,
            retry_delay_seconds=exponential_backoff(backoff_factor=2),
            retry_condition_fn=retry_if_transient,
        )
        return Step(policy(run))

    return made


def flow_run_id() -> str | None:
    """Name the Prefect flow run that this is part of, if any."""
    return flow_run.get_id() or None


def flow_run_page() -> str | None:
    """Give the address of this flow run's page; None where only a temporary server knows the run, or there is none."""
    run_id = flow_run_id()
    if run_id is None or get_current_settings().api.url is None:
        return None
    return url_for("flow-run", obj_id=run_id)


def requested_by(name: str) -> str:
    """Say who asked for a run that came through Prefect, whose process belongs to the worker's user.

    Args:
        name: Who, as the form or the command was told; "" where nobody was named.

    Returns:
        Words for a history; "" where the run is a command of the user's own, who needs no name.
    """
    return f"{name.strip() or 'somebody'}, through Prefect" if deployment.id else name.strip()
