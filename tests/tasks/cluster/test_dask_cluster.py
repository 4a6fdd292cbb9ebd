"""A Dask cluster is there when it is asked for, and a line says what is missing when it cannot be."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

import pytest
from prefect import flow

from tasks.cluster.dask_cluster import cluster_at, dask_runner, dask_workers
from tasks.prefect_task import Outcome, step
from xray.errors import XrayError


@pytest.fixture
def impatient() -> Iterator[None]:
    """Dask looks for a scheduler for 30 s; here, for one."""
    import dask
    import distributed  # noqa: F401 - imported below, its own settings would go again with ours

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        yield


@step(name="double")
def double(number: int) -> Outcome[int]:
    return Outcome(2 * number, "doubled")


def test_tasks_run_in_processes_that_know_the_flow(prefect_server: None) -> None:
    @flow(persist_result=False)
    def doubled() -> list[int]:
        with dask_runner("local", most=1) as runner:
            futures = [double.call(f"double {number}", number).submitted(runner) for number in (1, 2)]
            return [future.result() for future in futures]

    assert doubled() == [2, 4]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "ftp://127.0.0.1:8786"])
def test_a_scheduler_that_does_not_answer_is_said_in_one_line(
    address: str, prefect_server: None, impatient: None
) -> None:
    for cluster in (dask_runner, dask_workers):
        with pytest.raises(XrayError, match=f"--dask must name .* Received: {address}$"), cluster(address, most=1):
            pass


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    for cluster in (dask_runner, dask_workers):
        with pytest.raises(XrayError, match=r"pip install -e '\.\[dask\]'"), cluster("local", most=1):
            pass


def test_no_address_asks_for_no_cluster() -> None:
    assert cluster_at(None) is None
    assert cluster_at("") is None


@pytest.mark.slow
def test_calls_run_in_processes_and_one_that_ends_them_all_is_told_apart() -> None:
    with dask_workers("local", most=1) as workers:
        assert (workers.count(), workers.beside()) == (1, 1)
        process = workers.submit(os.getpid).result()
        assert process != os.getpid()
        workers.everywhere(sys.setrecursionlimit, 4321)
        assert workers.submit(sys.getrecursionlimit).result() == 4321 != sys.getrecursionlimit()
        with pytest.raises(BrokenExecutor, match="4 workers crashed on it"):
            workers.submit(os._exit, 1).result()
        assert workers.submit(os.getpid).result() not in {process, os.getpid()}
