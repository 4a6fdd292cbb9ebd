"""A Dask cluster that takes tasks, or calls from `xray`; imported and started only where one is asked for."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner

from tasks.cluster.extra import require_dask
from xray.errors import Unavailable, XrayError

if TYPE_CHECKING:
    from distributed import Client

    from xray.executors import OpenCluster

R = TypeVar("R")

LOCAL = "local"
"""In place of a scheduler's address: processes on this machine."""

log = logging.getLogger("xray.cluster")  # below `xray`, whose lines the screen and Prefect's UI show


@contextmanager
def dask_runner(address: str, most: int) -> Iterator[TaskRunner[Any]]:
    """Have a Dask cluster for as long as the block lasts.

    Args:
        address: A scheduler's, such as `tcp://127.0.0.1:8786`, or `LOCAL`.
        most: Tasks to be taken, so that no process is started in vain.

    Raises:
        XrayError: The extra is not installed, no scheduler answers, or a worker has other versions.
    """
    require_dask()
    from prefect_dask.task_runners import DaskTaskRunner

    with get_client(sync_client=True) as server:
        # A temporary server is known to this process alone: without its address, each worker would start its own.
        url = str(server.api_url)
    runner = DaskTaskRunner(cluster_kwargs=_processes(most)) if address == LOCAL else DaskTaskRunner(address=address)
    with temporary_settings({PREFECT_API_URL: url}), runner:
        with _found(address):
            client = runner.client
        DaskWorkers(client, address).require_version()
        yield runner


def cluster_at(address: str | None) -> OpenCluster | None:
    """Give what opens a cluster for `xray`, which knows no Dask; None where no address is given."""
    return partial(dask_workers, address) if address else None


@contextmanager
def dask_workers(address: str, most: int) -> Iterator[DaskWorkers]:
    """Have a Dask cluster's workers for calls, for as long as the block lasts.

    Args:
        address: A scheduler's, or `LOCAL`.
        most: Calls to be made, so that no process is started in vain.

    Raises:
        XrayError: The extra is not installed, no scheduler answers, it stops answering, or a worker has other versions.
    """
    require_dask()
    from distributed import Client, LocalCluster
    from distributed.utils import silence_logging_cmgr

    with ExitStack() as ends:
        ends.enter_context(silence_logging_cmgr(logging.CRITICAL))  # what fails, we say in one line
        with _found(address):
            place = ends.enter_context(LocalCluster(**_processes(most))) if address == LOCAL else address
            client = ends.enter_context(Client(place, set_as_default=False))
        workers = DaskWorkers(client, address)
        workers.require_version()
        if not workers.count():
            log.warning("the Dask scheduler %s has no worker yet; waiting for one", address)
        yield workers


class DaskWorkers:
    """A Dask cluster as `xray.executors.Cluster` wants it.

    The scheduler gives what a worker that died had in hand to another one, and gives up after four of them.
    """

    def __init__(self, client: Client, address: str) -> None:
        """Use a client that is connected."""
        self._client, self._address = client, address
        self._calls = client.get_executor(pure=False)

    def require_version(self) -> None:
        """Refuse workers that would compute something else, or could not even read a call, and leave the cluster.

        Raises:
            XrayError: A worker has other code or other libraries than this process.
        """
        from xray.executors import version

        with _answering(self._address):
            found = self._client.run(version, on_error="return")
        for worker, theirs in found.items():
            if theirs != version():
                raise XrayError(f"each Dask worker must have our versions: {version()}. Received: {theirs} on {worker}")

    def count(self) -> int:
        """Count the workers' threads."""
        return sum(self._threads().values())

    def beside(self) -> int:
        """Count the workers of the machine that has most; at least 1."""
        return max(Counter(urlsplit(worker).hostname for worker in self._threads()).values(), default=1)

    def submit(self, work: Callable[..., R], /, *given: Any) -> _Call[R]:
        """Hand over a call."""
        with _answering(self._address):
            return _Call(self._calls.submit(work, *given), self._address)

    def everywhere(self, work: Callable[..., object], /, *given: Any) -> None:
        """Call something in each worker's process; one that does not answer is passed over."""
        try:
            with _answering(self._address):
                self._client.run(work, *given, on_error="ignore")
        except XrayError as error:
            log.warning("%s", error)

    def _threads(self) -> dict[str, int]:
        with _answering(self._address):
            threads: dict[str, int] = self._client.nthreads()
        return threads


class _Call(Generic[R]):
    """A call's promise that fails in the words of the standard library or in ours, not in Dask's."""

    def __init__(self, future: Future[R], address: str) -> None:
        self._future, self._address = future, address

    def result(self) -> R:
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            return self._future.result()
        except KilledWorker as error:
            raise BrokenExecutor(f"{error.allowed_failures + 1} workers crashed on it") from error
        except (CancelledError, CommClosedError) as error:
            raise _gone(self._address) from error

    def cancel(self) -> object:
        return self._future.cancel()


@contextmanager
def _found(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        kind = XrayError if isinstance(error, ValueError) else Unavailable
        raise kind(f"--dask must name a Dask scheduler that answers, or {LOCAL}. Received: {address}") from error


@contextmanager
def _answering(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, CancelledError) as error:
        raise _gone(address) from error


def _gone(address: str) -> Unavailable:
    return Unavailable(
        f"the Dask scheduler must keep answering; the same command continues. Received: {address} stopped answering"
    )


def _processes(most: int) -> dict[str, Any]:
    return {
        "n_workers": min(os.cpu_count() or 1, most),
        "threads_per_worker": 1,  # Keras and MLflow keep state that belongs to a process
        "processes": True,
        "host": "127.0.0.1",
        # Its pages are not shown, but their port is opened: one of this machine alone, and a free one.
        "scheduler_kwargs": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        "silence_logs": logging.CRITICAL,  # of the workers; a task's own lines reach Prefect
        "memory_limit": 0,  # Dask would pause or end a training by its own guess of what is too much
    }
