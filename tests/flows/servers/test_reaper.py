"""What is left of an `xray up` that was killed with -9 ends: runs first, then servers, and nobody else's process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from flows.servers.parent_process import import_path
from flows.servers.reaper import MARK

SECONDS = 60
TELLING = """
import signal, subprocess, sys, time
def told(number, frame):
    with open("ended", "a") as file:
        print(sys.argv[1], file=file)
    sys.exit(0)
signal.signal(signal.SIGTERM, told)
if sys.argv[2:]:
    subprocess.Popen([sys.executable, "-c", sys.argv[2], "run"], start_new_session=True)
open(sys.argv[1], "w").close()
time.sleep(600)
"""


class Processes:
    """Processes of this test, ended with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack

    def start(self, *command: str, **settings: str) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"PYTHONPATH": import_path()} | settings
        process = subprocess.Popen([sys.executable, *command], cwd=self.folder, env=environment, start_new_session=True)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with ExitStack() as stack:
        yield Processes(tmp_path, stack)


def test_killed_with_9_its_runs_end_first_and_then_its_servers(processes: Processes) -> None:
    mark, folder = f"mark-{os.getpid()}", processes.folder
    up = processes.start("-c", "import time; time.sleep(600)")
    server = processes.start("-c", TELLING, "server", TELLING, **{MARK: mark})
    other = processes.start("-c", TELLING, "other", **{MARK: f"{mark}-of-another"})
    reaper = processes.start("-m", "flows.servers.reaper", str(up.pid), mark)
    deadline = time.monotonic() + SECONDS
    while not all((folder / name).exists() for name in ("server", "run", "other")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (run,) = psutil.Process(server.pid).children()
    assert reaper.poll() is None
    up.kill()
    up.wait(SECONDS)
    assert reaper.wait(SECONDS) == 0
    assert server.wait(SECONDS) == 0
    assert not run.is_running() or run.status() == psutil.STATUS_ZOMBIE
    assert (folder / "ended").read_text().split() == ["run", "server"]
    assert other.poll() is None
