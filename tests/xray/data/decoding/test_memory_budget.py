"""Threads share so many bytes: what does not fit waits, what is larger than all of it comes alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

from xray.data.decoding.memory_budget import MemoryBudget


def test_no_more_is_lent_than_there_is_and_everyone_has_a_turn() -> None:
    room, lock = MemoryBudget(100), threading.Lock()
    lent: list[int] = []
    most = [0]

    def borrow(size: int) -> int:
        with room.lent(size):
            with lock:
                lent.append(size)
                most[0] = max(most[0], sum(lent))
                assert sum(lent) <= 100 or lent == [size]
            with lock:
                lent.remove(size)
        return size

    sizes = [40, 70, 10, 300, 100, 0] * 50
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(borrow, sizes, timeout=60)) == sizes
    assert most[0] >= 100


def test_what_is_larger_waits_for_all_others() -> None:
    room, entered = MemoryBudget(10), threading.Event()

    def borrow() -> None:
        with room.lent(50):
            entered.set()

    thread = threading.Thread(target=borrow)
    with room.lent(1):
        thread.start()
        assert not entered.wait(0.1)
    thread.join(timeout=10)
    assert entered.is_set()


def test_an_error_gives_back_what_was_lent() -> None:
    room = MemoryBudget(10)
    for _ in range(3):
        try:
            with room.lent(10):
                raise KeyError
        except KeyError:
            pass
    with room.lent(10):
        pass
