"""Commands as a person types them: in a shell, in a folder of one's own, and taken from the pages that show them."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.check import faults_in
from tests.docs.pages import Shown, commands_of
from tests.system.conftest import left_of, processes_of
from tests.system.started import Started, settings_of, started

SAID = re.compile(r"^\w* +((?:\S*/)?xray [\w-]+.*)$", re.MULTILINE)
"""A command of ours that a command prints, to be typed next."""

PATIENCE = 20.0
"""Seconds that a command's other processes may outlive it."""


@dataclass(frozen=True)
class Typed:
    """A command that has ended.

    Attributes:
        command: As it was typed.
        code: Its exit code.
        out: What it printed.
        err: What it wrote to standard error.
    """

    command: str
    code: int
    out: str
    err: str


class Shell:
    """A shell of a user whose home folder is new.

    Attributes:
        folder: Where commands are typed; what they make lies here.
        settings: The environment of the next command.
    """

    def __init__(self, folder: Path, user: Path, **settings: str) -> None:
        self.folder, self._user = folder, user
        self.settings = settings_of(user, **settings) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of a make that runs the tests
            self.settings.pop(name, None)

    def new(self, **settings: str) -> "Shell":
        """Open a new one beside it: the same user and folder, and nothing else than the settings that are given."""
        return Shell(self.folder, self._user, **settings)

    def __call__(self, command: str, code: int = 0, program: tuple[str, ...] = ("bash", "-euo", "pipefail")) -> Typed:
        """Type a command and wait for its end.

        None may end in a traceback, leave a process, or name a command that there is not.

        Args:
            command: One line.
            code: What it must end with.
            program: What reads the command.
        """
        out, err = self._user.parent / "out", self._user.parent / "err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [*program, "-c", command],
                cwd=self.folder, env=self.settings, stdout=out_file, stderr=err_file,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        try:
            child.wait()
            left = left_of(child.pid, PATIENCE)
        finally:
            if processes_of(child.pid):
                os.killpg(child.pid, signal.SIGKILL)
        ended = Typed(command, child.returncode, out.read_text(), err.read_text())
        told = f"$ {command}\n{ended.out}{ended.err}[{ended.code}]\n"
        sys.stdout.write(told)  # which pytest shows where a test fails
        assert ended.code == code, told
        assert "Traceback" not in told, told
        assert left == [], told
        assert [fault for said in SAID.findall(ended.out) for fault in faults_in(said)] == [], told
        return ended

    def export(self, command: str) -> None:
        """Type a line that begins with export; what is typed after it has its variables."""
        printed = self(f"{command}\nenv -0").out
        self.settings = dict(line.split("=", 1) for line in printed.split("\0") if line)

    @contextmanager
    def start(self, name: str, command: str) -> Iterator[Started]:
        """Type a command that goes on until it is ended; whatever happens, nothing of it is left."""
        with started(self._user.parent, name, ["-c", command], self.settings, "bash", self.folder) as process:
            yield process
        sys.stdout.write(f"$ {command}\n{process.log.read_text()}[ended]\n")


@dataclass
class Documented:
    """The commands that the pages say a test runs; it must run each of them, and change none but by what it says.

    Attributes:
        shown: The commands, in the order of the pages.
    """

    shown: list[Shown]
    _ran: list[Shown] = field(default_factory=list)

    @classmethod
    def of(cls, test: str) -> "Documented":
        """Read the commands that name a test, `FILE::TEST`."""
        return cls(commands_of(test))

    def __iter__(self) -> Iterator[Shown]:
        return iter(self.shown)

    def one(self, beginning: str) -> Shown:
        """Give the only command that begins so."""
        (found,) = [each for each in self.shown if each.text.startswith(beginning)]
        return found

    def run(
        self, shell: Shell, shown: Shown, swap: Mapping[str, str] | None = None, more: str = "", code: int = 0
    ) -> Typed:
        """Type a command to its end, in a shell or in Python.

        Args:
            shell: Where.
            shown: One of these.
            swap: What the page has for what stands here; each must be in the command.
            more: What is typed besides, at the end.
            code: What it must end with.
        """
        if shown.language == "python":
            return shell(self._line(shown, {}, ""), code, (sys.executable,))
        return shell(self._line(shown, swap, more), code)

    def export(self, shell: Shell, shown: Shown, swap: Mapping[str, str] | None = None) -> None:
        """Type a line that begins with export, for what is typed after it."""
        shell.export(self._line(shown, swap, ""))

    def start(
        self, shell: Shell, name: str, shown: Shown, swap: Mapping[str, str] | None = None, more: str = ""
    ) -> AbstractContextManager[Started]:
        """Type a command that goes on until it is ended."""
        return shell.start(name, self._line(shown, swap, more))

    def write(self, path: Path, shown: Shown) -> None:
        """Write a file as a page shows it."""
        path.write_text(self._line(shown, {}, ""), encoding="utf-8")

    def words(self, shown: Shown, swap: Mapping[str, str] | None = None, more: str = "") -> list[str]:
        """Give the arguments of an `xray` command as they are to be typed; from here on it counts as run."""
        program, *words = shlex.split(self._line(shown, swap, more))
        assert program == "xray"
        return words

    def left(self) -> list[Shown]:
        """Give the commands that were not run."""
        return [each for each in self.shown if each not in self._ran]

    def _line(self, shown: Shown, swap: Mapping[str, str] | None, more: str) -> str:
        self._ran.append(shown)
        line = shown.text
        for old, new in (swap or {}).items():
            assert old in line, f"{old} is not in {line}"
            line = line.replace(old, new)
        return f"{line} {more}" if more else line


def cheap(command: str, **values: int) -> str:
    """Give `--set` options that make a training short, but for what a command sets by itself.

    Args:
        command: What they are for.
        **values: Other values, with `__` for the dot.
    """
    few = {"images.height": 32, "images.width": 32, "training.epochs": 1, "evaluation.bootstrap_draws": 100}
    few |= {key.replace("__", "."): value for key, value in values.items()}
    return " ".join(f"--set {key}={value}" for key, value in few.items() if key not in command)
