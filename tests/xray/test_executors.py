"""Batches are worked through some at a time, and come back in their order."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import closing
from pathlib import Path

import PIL
import pytest

from xray import executors
from xray.executors import AHEAD, OrderedMap, Threads, version


def test_outcomes_come_in_the_order_of_the_batches_whoever_is_done_first() -> None:
    second_is_done = threading.Event()

    def work(batch: int) -> int:
        if batch == 0:
            assert second_is_done.wait(30)
        elif batch == 1:
            second_is_done.set()
        return 10 * batch

    with Threads(2) as threads:
        found = [(batch, promise.result()) for batch, promise in OrderedMap(threads, work, range(40))]
    assert found == [(batch, 10 * batch) for batch in range(40)]


def test_few_batches_are_under_way() -> None:
    taken: list[int] = []

    def batches() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with Threads(2) as threads, closing(OrderedMap(threads, str, batches())) as promises:
        next(iter(promises))
    assert len(taken) == 2 * AHEAD


def test_without_a_worker_yet_some_are_handed_over_for_a_cluster_that_grows_with_its_work() -> None:
    class NoneYet(Threads):
        def count(self) -> int:
            return 0

    with NoneYet(1) as threads:
        assert [promise.result() for _, promise in OrderedMap(threads, str, range(3))] == ["0", "1", "2"]


def test_left_early_what_has_not_begun_is_not_done() -> None:
    done: list[int] = []
    go_on = threading.Event()

    def work(batch: int) -> None:
        assert batch == 0 or go_on.wait(30)
        done.append(batch)

    with Threads(1) as threads:
        with closing(OrderedMap(threads, work, range(100))) as promises:
            next(iter(promises))[1].result()
        go_on.set()
    assert len(done) <= 2


def test_a_failure_is_the_batchs_own() -> None:
    def work(batch: int) -> int:
        return 1 // batch

    with Threads(2) as threads:
        promises = dict(OrderedMap(threads, work, [1, 0, 2]))
        assert promises[2].result() == 0
        with pytest.raises(ZeroDivisionError):
            promises[0].result()


def test_a_batch_that_died_beside_another_is_worked_through_when_all_others_have_ended() -> None:
    go_on, beside = threading.Event(), threading.Event()
    beside.set()

    def work(batch: int) -> bool:
        if batch == 1:
            assert go_on.wait(30)
            beside.clear()
            raise BrokenExecutor
        if batch == 0 and beside.is_set():
            go_on.set()
            raise BrokenExecutor
        return True

    with Threads(2) as threads:
        promises = OrderedMap(threads, work, [0, 1])
        both = iter(promises)
        with pytest.raises(BrokenExecutor):
            next(both)[1].result()
        assert promises.isolated(0)
        with pytest.raises(BrokenExecutor):
            next(both)[1].result()


def test_the_version_is_that_of_the_code_and_of_what_it_stands_on(tmp_path: Path) -> None:
    assert version() == version()
    assert f"pillow {PIL.__version__}" in version()
    copy = Path(shutil.copytree(Path(executors.__file__).parent, tmp_path / "xray"))
    assert version(copy) == version()
    (copy / "labels.py").write_text("# changed")
    assert version(copy) != version()
