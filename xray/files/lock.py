"""Locks between processes, which the system gives back when their holder dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from xray.errors import XrayError


@contextmanager
def locked(
    path: Path,
    refusal: XrayError | None = None,
    seconds: float = 0.0,
    waiting: Callable[[], None] | None = None,
) -> Iterator[bool]:
    """Hold a lock for as long as the block lasts.

    Args:
        path: Of the lock's file, in a folder that is there.
        refusal: Raised where another process holds it.
        seconds: How long to wait before that.
        waiting: Called once instead of a refusal; then it is waited for to the end.

    Yields:
        Whether it is held; False only where there is neither a refusal nor `waiting`.

    Raises:
        XrayError: The refusal.
        OSError: The file could not be made.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        if waiting is not None:
            waiting()
            lock.acquire()
        elif refusal is not None:
            raise refusal from None
        else:
            yield False
            return
    try:
        yield True
    finally:
        lock.release()
