"""Executors for many batches: threads of this process, or a cluster."""

import hashlib
import importlib.metadata
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

AHEAD = 4
"""Batches a worker that are under way, so that none waits while the caller is busy, and few outcomes lie in memory."""

LIBRARIES = ("numpy", "pillow", "tensorflow", "keras")
"""What pixels and scores depend on, besides our code."""


class PendingResult(Protocol[R_co]):
    """The outcome of a call that is under way, such as a `concurrent.futures.Future`."""

    def result(self) -> R_co:
        """Wait for it.

        Raises:
            concurrent.futures.BrokenExecutor: The call ended every process that it was given to.
        """

    def cancel(self) -> object:
        """Do without it, if it has not begun."""


class Workers(Protocol):
    """What calls are handed to."""

    def count(self) -> int:
        """Count the calls that they work on at once; it may change, and be none for a while."""

    def submit(self, work: Callable[..., R], /, *given: Any) -> PendingResult[R]:
        """Hand over a call."""


class Cluster(Workers, Protocol):
    """Workers in processes of their own, on any machine, which may end and come back."""

    def beside(self) -> int:
        """Count the processes that share a machine, where they are most; at least 1."""

    def everywhere(self, work: Callable[..., object], /, *given: Any) -> None:
        """Call something in each process that answers."""


OpenCluster = Callable[[int], AbstractContextManager[Cluster]]
"""Has a cluster for as long as a block lasts, given how many batches it will be handed."""


class Threads(ThreadPoolExecutor):
    """Threads of this process."""

    def __init__(self, count: int) -> None:
        """Have so many of them."""
        super().__init__(count)
        self._count = count

    def count(self) -> int:
        """Count them."""
        return self._count


class OrderedMap(Generic[T, R]):
    """Have batches worked through, some at a time, and give each with the promise of its outcome, in their order.

    To be closed: what has not begun by then is done without.
    """

    def __init__(self, workers: Workers, work: Callable[[T], R], batches: Iterable[T]) -> None:
        """Say who works, what is done with a batch, and the batches."""
        self._workers, self._work, self._batches = workers, work, batches
        self._waiting: deque[tuple[T, PendingResult[R]]] = deque()

    def __iter__(self) -> Iterator[tuple[T, PendingResult[R]]]:
        for batch in self._batches:
            self._waiting.append((batch, self._workers.submit(self._work, batch)))
            if len(self._waiting) >= AHEAD * max(1, self._workers.count()):
                yield self._waiting.popleft()
        while self._waiting:
            yield self._waiting.popleft()

    def isolated(self, batch: T) -> R:
        """Work through a batch with nothing of ours beside it: next to one that ends its workers, any looks deadly.

        Raises:
            concurrent.futures.BrokenExecutor: It ended every process that it was given to.
        """
        for _, promise in self._waiting:
            with suppress(Exception):  # who asks this promise for its outcome gets it
                promise.result()
        return self._workers.submit(self._work, batch).result()

    def close(self) -> None:
        """Do without what has not begun."""
        for _, promise in self._waiting:
            promise.cancel()


def version(package: Path = Path(__file__).parent) -> str:
    """Name our code, by a digest of its files, and the libraries that pixels and scores depend on.

    Args:
        package: The folder of `xray`.
    """
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"code {digest.hexdigest()[:12]}, {versions}"
