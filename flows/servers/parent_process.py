"""Processes that end with their parent, whether it ended by a signal, kill -9 or a crash."""

import os
import signal
import threading
from pathlib import Path

import psutil

MOST_SECONDS = 10.0
"""What an orderly end may take."""


def end_with(pid: int) -> None:
    """End this process, in order and else by force, once another one is gone.

    It watches from a thread of its own, and not by the kernel's death signal, which comes when the *thread* that
    started a process ends, and on Linux alone.

    Args:
        pid: The other process, usually the one that started this one.
    """
    threading.Thread(target=_watch, args=(pid,), name="xray-parent", daemon=True).start()


def wait_for_end(pid: int) -> None:
    """Wait until a process, which need not be a child, is gone."""
    try:
        psutil.Process(pid).wait()
    except psutil.NoSuchProcess:
        return


def import_path() -> str:
    """Give the PYTHONPATH with which `python -P -m` finds our packages, and no others of the same names."""
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parents[2]), *([given] if given else [])])


def _watch(pid: int) -> None:
    wait_for_end(pid)
    forced = threading.Timer(MOST_SECONDS, os._exit, args=(1,))
    forced.daemon = True
    forced.start()
    os.kill(os.getpid(), signal.SIGTERM)
