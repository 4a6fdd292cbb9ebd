"""A command that is ended otherwise than by Ctrl-C: its run is told, and no process of it is left."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.conftest import Command, Ended

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]

SETTINGS = ["images.height=32", "images.width=32", "training.epochs=500", "training.patience=0"]
RUN = ["run", "phantoms", "--recipe", "quick", "--home", "home"]
RUN += [part for setting in SETTINGS for part in ("--set", setting)]
PATIENCE = 60.0
"""The temporary server sees the end of its command at once, and then ends in order, on a machine that is busy."""


@pytest.fixture(scope="module")
def phantoms(xray: Command) -> Path:
    assert xray("phantom", "phantoms", "--scans", "120", "--size", "64x64").code == 0
    return xray.folder / "phantoms"


def ended_by(xray: Command, send: Callable[[int], None]) -> tuple[Ended, str]:
    """Train, send something in the middle of it, and give how the command and its run of the flow ended."""
    ended = xray(*RUN, seen=lambda printed: "epoch" in printed, send=send, patience=PATIENCE)
    with closing(sqlite3.connect(xray.folder / "home" / ".prefect" / "prefect.db")) as database:
        (state,) = database.execute("select state_name from flow_run order by created desc limit 1").fetchone()
    return ended, state


@pytest.mark.parametrize("send", [
    pytest.param(lambda pid: os.kill(pid, signal.SIGTERM), id="kill"),
    pytest.param(lambda pid: os.killpg(pid, signal.SIGHUP), id="closed-terminal"),
])  # fmt: skip
def test_it_ends_as_by_ctrl_c(send: Callable[[int], None], xray: Command, phantoms: Path) -> None:
    ended, state = ended_by(xray, send)
    assert (ended.code, ended.left) == (130, [])
    assert ended.err.startswith("xray: interrupted;")
    assert ended.err.count("\n") == 1
    assert state == "Crashed"


def test_killed_with_9_it_leaves_no_server(xray: Command, phantoms: Path) -> None:
    ended, _ = ended_by(xray, lambda pid: os.kill(pid, signal.SIGKILL))
    assert (ended.code, ended.left) == (-signal.SIGKILL, [])


def test_what_it_made_is_for_its_owner_alone(xray: Command, phantoms: Path) -> None:
    made = list((xray.folder / "home").rglob("*"))
    assert len(made) > 10
    assert [str(path) for path in made if path.lstat().st_mode & 0o077 and not path.is_symlink()] == []
