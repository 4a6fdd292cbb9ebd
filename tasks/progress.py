"""How far a task is: to whoever watches the command, and as an artifact in Prefect's UI."""

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

log = logging.getLogger(__name__)

Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many."""

watcher: ContextVar[Watch | None] = ContextVar("watcher", default=None)
"""Set by the command around a flow; a flow on a worker has none."""

SECONDS_BETWEEN_UPDATES = 2.0
SECONDS_AFTER_A_FAILURE = 300.0
"""Prefect's client tries for a minute before it gives up, and the training waits."""


def progress_of(what: str) -> Callable[[int, int], None]:
    """Make a callback that reports (done, of how many), to Prefect's server at most every two seconds.

    A server that is away costs its bar, and never the work that is reported.

    Args:
        what: A word or two, lower case, such as `epochs`.
    """
    created = create_progress_artifact(progress=0.0, key=f"progress-{what}", description=f"Progress: {what}")
    artifact = cast(UUID, created)  # a coroutine only where a loop runs, which is in no task of ours
    watch = watcher.get()
    due = time.monotonic() + SECONDS_BETWEEN_UPDATES

    def report(done: int, total: int) -> None:
        nonlocal due
        if watch is not None:
            watch(what, done, total)
        if done != total and time.monotonic() < due:
            return
        pause = SECONDS_BETWEEN_UPDATES
        try:
            update_progress_artifact(artifact, progress=100.0 * done / max(total, 1))
        except (httpx.HTTPError, PrefectException) as error:
            log.warning("Prefect's server does not answer, the work goes on: %s", error)
            pause = SECONDS_AFTER_A_FAILURE
        due = time.monotonic() + pause

    return report
