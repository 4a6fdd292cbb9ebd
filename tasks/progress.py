"""How far a task is: to whoever watches the command, and as an artifact in Prefect's UI."""

import time
from collections.abc import Callable
from contextvars import ContextVar

from prefect.artifacts import create_progress_artifact, update_progress_artifact

Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many."""

watcher: ContextVar[Watch | None] = ContextVar("watcher", default=None)
"""Set by the command around a flow; a flow on a worker has none."""

SECONDS_BETWEEN_UPDATES = 2.0


def progress_of(what: str) -> Callable[[int, int], None]:
    """Make a callback that reports (done, of how many), to Prefect's server at most every two seconds.

    Args:
        what: A word or two, lower case, such as `epochs`.
    """
    artifact = create_progress_artifact(progress=0.0, key=f"progress-{what}", description=f"Progress: {what}")
    watch = watcher.get()
    sent = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal sent
        if watch is not None:
            watch(what, done, total)
        if done == total or time.monotonic() - sent >= SECONDS_BETWEEN_UPDATES:
            update_progress_artifact(artifact, progress=100.0 * done / max(total, 1))
            sent = time.monotonic()

    return report
