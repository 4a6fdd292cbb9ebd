"""The real command, in a process of its own, with a user's home folder of its own."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.waiting import came

if TYPE_CHECKING:
    from tests.system.started import Started
    from tests.system.typed import Documented

PROJECT = Path(__file__).parents[2]
LONGEST_FIRST = (
    "test_faults.py", "test_walk.py", "test_benchmarks.py", "test_documented.py", "test_tune.py", "test_servers.py",
    "test_cross_validate.py", "test_older_home.py", "test_scoring.py", "test_promoting.py", "test_run.py",
    "test_signals.py", "test_s3.py",
)  # fmt: skip
"""Files that take minutes, begun before the others, so that all cores have work to the end."""

OUTSIDE = ("PREFECT_", "MLFLOW_", "XRAY_", "TF_", "KERAS_", "MPL", "XDG_", "COV_", "GLIBC_", "DO_NOT_TRACK")
"""Variables that a fresh user does not have; the tests' own are among them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest begin; within a file the order stays."""
    last = len(LONGEST_FIRST)
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, last) if item.get_closest_marker("system") else last)


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it wrote to standard error.
        most_memory: The most that the command's own process held at a time, in bytes; 0 where the system does not say.
        left: Processes of it that went on.
    """

    code: int
    out: str
    err: str
    most_memory: int
    left: list[str]


def most_memory_of(pid: int) -> int:
    """Give the most bytes that a process has held so far; 0 where that is not to be seen, as of one that has ended.

    `ru_maxrss` would begin with the peak of the process that started it, which is a test worker of a gigabyte.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


class Command:
    """`xray`, for a user whose home folder is new.

    Args:
        folder: Where commands are typed.
        code: The folder of the code that runs.
        **settings: Variables that this user has set.

    Attributes:
        user: That home folder; a command writes nothing there.
    """

    def __init__(self, folder: Path, code: Path = PROJECT, **settings: str) -> None:
        self.folder, self.user, self.code, self.settings = folder, folder / "user", code, settings
        self.user.mkdir(exist_ok=True)

    def at(self, prefect: str) -> "Command":
        """The same for a user who has told commands of a Prefect server, so that none starts one of its own."""
        return Command(self.folder, self.code, **self.settings | {"PREFECT_API_URL": prefect})

    def __call__(
        self,
        *arguments: str,
        seen: Callable[[str], bool] | None = None,
        before: Callable[[], None] | None = None,
        send: Callable[[int], None] = lambda pid: os.killpg(pid, signal.SIGINT),
        patience: float = 0,
    ) -> Ended:
        """Call the command; press Ctrl-C, as a terminal does, once `seen` says so of what it has printed so far.

        `send` sends something else in place of Ctrl-C, and `patience` is how long its other processes may outlive it.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
        environment |= {"HOME": str(self.user), "PYTHONPATH": str(self.code), "CUDA_VISIBLE_DEVICES": "-1"}
        environment |= self.settings

        def prepare() -> None:
            for number in (signal.SIGINT, signal.SIGHUP):  # which a background job of a shell, or under nohup, ignores
                signal.signal(number, signal.SIG_DFL)
            if before is not None:
                before()

        out, err = self.folder / "out", self.folder / "err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *arguments],
                cwd=self.folder, env=environment, stdout=out_file, stderr=err_file,
                stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - no thread runs beside a test
            )  # fmt: skip
        try:
            look = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if seen is not None:
                came(lambda: os.waitid(os.P_PID, child.pid, look) or seen(out.read_text()), math.inf)
                if os.waitid(os.P_PID, child.pid, look) is None:
                    send(child.pid)
            peaks = [0]

            def has_ended() -> bool:
                peaks.append(most_memory_of(child.pid))
                return os.waitid(os.P_PID, child.pid, look) is not None

            came(has_ended, math.inf)
            child.wait()
            left = left_of(child.pid, patience)
        finally:
            if processes_of(child.pid):
                os.killpg(child.pid, signal.SIGKILL)
        return Ended(child.returncode, out.read_text(), err.read_text(), max(peaks), left)

    @contextmanager
    def start(self, name: str, *arguments: str) -> Iterator["Started"]:
        """Give the command and go on; whatever happens, nothing of it is left at the end of the block.

        Args:
            name: Of the log that it writes.
            *arguments: What follows `xray`.
        """
        from tests.system.started import settings_of, started

        settings = settings_of(self.user, PYTHONPATH=str(self.code), **self.settings)
        with started(self.folder, name, ["-m", "flows.cli", *arguments], settings) as process:
            yield process


def processes_of(session: int) -> list[str]:
    """List the processes of a session that are not yet gone."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "stat=,args=", "--sid", str(session)], capture_output=True, text=True, check=False
    )
    return [line for line in listing.stdout.splitlines() if not line.startswith("Z")]


def left_of(session: int, patience: float) -> list[str]:
    """Wait for the processes of a session to be gone, and list those that are not.

    Args:
        session: The session's id.
        patience: For how many seconds: what Python starts beside a process sees its end by a pipe that closes.
    """
    came(lambda: not processes_of(session), patience)
    return processes_of(session)


def written_below(folder: Path) -> Sequence[str]:
    """List what lies below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def documented(request: pytest.FixtureRequest) -> Iterator["Documented"]:
    """The commands that the pages say this test runs. A test that has passed must have run all of them."""
    from tests.system.typed import Documented

    failed = request.session.testsfailed
    commands = Documented.of(request.node.nodeid)
    assert commands.shown, "no page names this test"
    yield commands
    if request.session.testsfailed == failed:
        assert commands.left() == [], "the pages say that this test runs more"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command, in a folder of the test file's own; it starts a temporary server where it needs one."""
    return Command(tmp_path_factory.mktemp("command"))


@pytest.fixture(scope="module")
def xray(alone: Command) -> Command:
    """The command as a test file wants it: `alone`, unless the file says otherwise."""
    return alone
