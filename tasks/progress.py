"""How far a task is: to whoever watches the command, and as a bar in Prefect's UI."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tasks.artifacts import make_bar, move_bar

Watch = Callable[[str, int, int | None], None]
"""Called with what is being done, how many are done, and of how many: None where that cannot be counted."""

watcher: ContextVar[Watch | None] = ContextVar("watcher", default=None)
"""Set by the command around a flow; a flow on a worker has none."""

SECONDS_BETWEEN_UPDATES = 2.0
SECONDS_AFTER_A_FAILURE = 300.0
"""Prefect's client tries for a minute before it gives up, and the training waits."""


def progress_of(what: str) -> Callable[[int, int], None]:
    """Make a callback that reports (done, of how many), to Prefect's server at most every two seconds.

    A server that is away costs its bar, and never the work that is reported.

    Args:
        what: A word, lower case, such as `epochs`.
    """
    watch, bar = watcher.get(), make_bar(what)
    due = time.monotonic() + (SECONDS_AFTER_A_FAILURE if bar is None else SECONDS_BETWEEN_UPDATES)

    def report(done: int, total: int) -> None:
        nonlocal bar, due
        if watch is not None:
            watch(what, done, total)
        if time.monotonic() < due and (bar is None or done != total):
            return
        bar = bar or make_bar(what)
        heard = bar is not None and move_bar(bar, 100.0 * done / max(total, 1))
        due = time.monotonic() + (SECONDS_BETWEEN_UPDATES if heard else SECONDS_AFTER_A_FAILURE)

    return report


@contextmanager
def doing(what: str) -> Iterator[Callable[[str], None]]:
    """Tell whoever watches what is being done, where nothing can be counted, for as long as the block lasts.

    Args:
        what: Such as `evaluating`.

    Yields:
        What is called with the part of it that begins, such as `maps`.
    """
    watch = watcher.get()
    shown = what

    def tell(done: int, total: int | None) -> None:
        if watch is not None:
            watch(shown, done, total)

    def now(part: str) -> None:
        nonlocal shown
        tell(1, 1)
        shown = f"{what}: {part}"
        tell(0, None)

    tell(0, None)
    try:
        yield now
    finally:
        tell(1, 1)
