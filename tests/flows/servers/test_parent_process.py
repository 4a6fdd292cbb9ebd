"""A process that watches another one ends with it, however that ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flows.servers.parent_process import import_path, wait_for_end

CHILD = (
    "import sys, time; from flows.servers.parent_process import end_with; "
    "end_with(int(sys.argv[1])); print('up', flush=True); {}"
)
PARENT = """
import os, subprocess, sys, threading
def start():
    subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
thread = threading.Thread(target=start)  # which ends long before the process
thread.start()
thread.join()
sys.stdin.read()
"""
SECONDS = 60


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_and_not_with_the_thread_that_started_it(number: signal.Signals) -> None:
    child_code = CHILD.format("time.sleep(600)")
    environment = os.environ | {"PYTHONPATH": import_path()}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, child_code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        (child,) = psutil.Process(parent.pid).children()
        assert child.is_running()
        parent.send_signal(number)
        parent.wait(SECONDS)
        assert psutil.wait_procs([child], timeout=SECONDS)[1] == []


def test_one_that_swallows_the_signal_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    setup = "import flows.servers.parent_process as parent; parent.MOST_SECONDS = 0.1; " + CHILD.format(stubborn)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(SECONDS)
    environment = os.environ | {"PYTHONPATH": import_path()}
    child = subprocess.run(
        [sys.executable, "-c", setup, str(gone.pid)],
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=SECONDS,
        check=False,
    )
    assert child.returncode != 0


def test_a_process_that_is_gone_already_is_not_waited_for() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(SECONDS)
    wait_for_end(gone.pid)


def test_our_packages_are_found_before_others_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text("raise SystemExit('another one')")
    environment = os.environ | {"PYTHONPATH": import_path()}
    command = [sys.executable, "-P", "-c", "import flows.servers.parent_process"]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0
