"""Whether the process that left something behind still lives."""

import psutil

CLOCK_SECONDS = 2.0
"""A process's start reads differently by as much when the machine's clock is set."""


def is_alive(pid: int, born: float) -> bool:
    """Say whether a process of this machine is there still, and is the one that was meant: numbers are given again.

    Args:
        pid: Its number.
        born: When it started, Unix seconds.
    """
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
