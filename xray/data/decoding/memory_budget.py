"""Room in memory that is shared by the threads of a process, so that large scans wait for each other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """So many bytes, lent out and given back."""

    def __init__(self, size: int) -> None:
        """Have so many bytes to lend."""
        self._size = size
        self._lent = 0
        self._change = threading.Condition()

    @contextmanager
    def lent(self, size: int) -> Iterator[None]:
        """Have some of it for as long as the block lasts, waiting until it is there; more than all of it comes alone.

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
