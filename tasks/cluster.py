"""A Dask cluster that takes tasks, imported and started only where one is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner

from tasks.libraries import require_dask
from xray.errors import XrayError

LOCAL = "local"
"""In place of a scheduler's address: processes on this machine."""


@contextmanager
def dask_runner(address: str, most: int) -> Iterator[TaskRunner[Any]]:
    """Have a Dask cluster for as long as the block lasts.

    Args:
        address: A scheduler's, such as `tcp://127.0.0.1:8786`, or `LOCAL`.
        most: Tasks to be taken, so that no process is started in vain.

    Raises:
        XrayError: The extra is not installed, or no scheduler answers.
    """
    require_dask()
    from prefect_dask.task_runners import DaskTaskRunner

    with get_client(sync_client=True) as client:
        # A temporary server is known to this process alone: without its address, each worker would start its own.
        url = str(client.api_url)
    runner = DaskTaskRunner(cluster_kwargs=_processes(most)) if address == LOCAL else DaskTaskRunner(address=address)
    with temporary_settings({PREFECT_API_URL: url}), runner:
        try:
            runner.client  # noqa: B018 - connects
        except (OSError, ValueError) as error:
            raise XrayError(
                f"--dask must name a Dask scheduler that answers, or {LOCAL}. Received: {address}"
            ) from error
        yield runner


def _processes(most: int) -> dict[str, Any]:
    return {
        "n_workers": min(os.cpu_count() or 1, most),
        "threads_per_worker": 1,  # Keras and MLflow keep state that belongs to a process
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "memory_limit": 0,  # Dask would pause or end a training by its own guess of what is too much
    }
