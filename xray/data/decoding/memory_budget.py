"""A memory budget shared by the threads of a process, so that large scans wait for each other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """A number of bytes that threads borrow and return."""

    def __init__(self, size: int) -> None:
        """Start with a number of bytes."""
        self._size = size
        self._lent = 0
        self._change = threading.Condition()

    @contextmanager
    def lent(self, size: int) -> Iterator[None]:
        """Borrow bytes for the block, waiting until they are free; a request for more than all waits until it is alone.

        A block must not ask the same room again.
        """
        with self._change:
            self._change.wait_for(lambda: not self._lent or self._lent + size <= self._size)
            self._lent += size
        try:
            yield
        finally:
            with self._change:
                self._lent -= size
                self._change.notify_all()
