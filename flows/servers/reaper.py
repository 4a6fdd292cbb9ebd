"""Ends the servers of an `xray up` that was killed with -9: `python -m flows.servers.reaper PID MARK`.

It is in a session of its own, waits for the end of `xray up`, and then finds nothing to do, unless that had no time.
"""

import os
import sys
from collections.abc import Iterator

import psutil

from flows.servers.parent_process import wait_for_end

MARK = "XRAY_SERVERS"
"""An environment variable that every process of an `xray up` inherits, runs of flows in sessions of their own too."""

RUNS_END_SECONDS = 10.0
"""What a run of a flow gets to tell Prefect that it was ended."""

SERVERS_END_SECONDS = 10.0


def main() -> None:
    """Wait for the end of a process, and end what bears its mark."""
    wait_for_end(int(sys.argv[1]))
    end(sys.argv[2])


def marked(mark: str) -> list[psutil.Process]:
    """Find the processes with a mark, even in other sessions or with another parent."""

    def found() -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == mark and process.pid != os.getpid():
                    yield process
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue

    return list(found())


def end_runs(mark: str, sessions: set[int]) -> None:
    """End the runs of flows while Prefect's server still hears that.

    Args:
        mark: What they bear.
        sessions: Those of the servers and of the worker; a run has left theirs.
    """
    _ended([process for process in marked(mark) if session_of(process) not in sessions], RUNS_END_SECONDS)


def end(mark: str) -> None:
    """End all that bears a mark: runs of flows, then servers and worker in order, and what still lives by force."""
    found = marked(mark)
    ids = {process.pid for process in found}
    first = {process.pid for process in found if _parent_of(process) not in ids}
    end_runs(mark, first)
    _ended(marked(mark), SERVERS_END_SECONDS)
    for process in marked(mark):
        process.kill()


def session_of(process: psutil.Process) -> int | None:
    """Give the session of a process; None where it is gone."""
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _ended(processes: list[psutil.Process], seconds: float) -> None:
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=seconds)


def _parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


if __name__ == "__main__":
    main()
