"""The one way in which a system test waits: it asks again and again, and never sleeps for what it can see."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SECONDS = 180.0
EVERY = 0.1


def came(condition: Callable[[], T], seconds: float, every: float = EVERY) -> T:
    """Ask until the answer is true or the time is over, at least once, and give the last answer.

    Args:
        condition: What is asked.
        seconds: The longest to wait.
        every: Seconds between two looks.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return answer


def until(condition: Callable[[], T | None], what: str, seconds: float = SECONDS, every: float = EVERY) -> T:
    """Ask until the answer is true, and give it; a test that waits in vain fails and says for what."""
    answer = came(condition, seconds, every)
    assert answer, f"not within {seconds:g} s: {what}"
    return answer
