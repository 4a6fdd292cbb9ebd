"""A Dask cluster is there when it is asked for, and a line says what is missing when it cannot be."""

import sys
from collections.abc import Iterator

import pytest
from prefect import flow

from tasks.cluster import dask_runner
from tasks.policy import outcome, step
from xray.errors import XrayError


@pytest.fixture
def impatient() -> Iterator[None]:
    """Dask looks for a scheduler for 30 s; here, for one."""
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        yield


@step(name="double")
def double(number: int) -> int:
    return 2 * number


def test_tasks_run_in_processes_that_know_the_flow(prefect_server: None) -> None:
    @flow(persist_result=False)
    def doubled() -> list[int]:
        with dask_runner("local", most=1) as runner:
            futures = [runner.submit(double, {"number": number}) for number in (1, 2)]
            return [outcome(future.result()) for future in futures]

    assert doubled() == [2, 4]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "ftp://127.0.0.1:8786"])
def test_a_scheduler_that_does_not_answer_is_said_in_one_line(
    address: str, prefect_server: None, impatient: None
) -> None:
    with pytest.raises(XrayError, match=f"--dask must name .* Received: {address}$"), dask_runner(address, most=1):
        pass


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(XrayError, match=r"pip install -e '\.\[dask\]'"), dask_runner("local", most=1):
        pass
