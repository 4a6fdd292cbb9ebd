"""Commands killed at a random moment with -9, alone or with every process they have started, and then given again.

Homes are made by the commands themselves: none at all, one with a model, two, a champion, a champion after another.
Each kill restores such a home, gives the command, kills it at a moment drawn from the time that it takes, waits until
its other processes have ended, and does what a person would: looks at `xray history` where the champion was to move,
and gives the command again unless it has. A row says whether the home is then that of the command that nobody killed:
the same runs, versions, aliases, decisions, figures and scores, and nothing that says it still runs.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import psutil
from faults_damage import SETTINGS

PROJECT = Path(__file__).parent.parent
TRAINED = ("scans", "--recipe", "quick", *(part for setting in SETTINGS for part in ("--set", setting)))
SCAN = "scan"
"""Stands for the first test scan's file."""

UP = "Ctrl-C ends"
"""The last that `xray up` says before it waits."""

MARK = "XRAY_FAULTS"
"""A variable of every process that a killed command has started."""

ORPHANED = 20.0
"""Seconds in which they must have ended."""

MOST = 600.0
"""Seconds that a command takes at most."""

DIGITS = 3
"""Figures of a training that goes on agree with an unkilled one's to so many."""


@dataclass(frozen=True)
class Scenario:
    """A command over a home.

    Attributes:
        name: What it is called in the table.
        before: The scenario whose home it starts from; None where there is none.
        command: What follows `xray`.
        moves: Whether it moves the champion, so that it is given again only where it has not.
        serves: Whether it goes on until Ctrl-C.
    """

    name: str
    before: str | None
    command: tuple[str, ...]
    moves: bool = False
    serves: bool = False


SCENARIOS = (
    Scenario("first run", None, ("run", *TRAINED)),
    Scenario("first prepare", None, ("prepare", "scans")),
    Scenario("first up", None, ("up",), serves=True),
    Scenario("run again", "first run", ("run", *TRAINED)),
    Scenario("another seed", "first run", ("run", *TRAINED, "--set", "training.seed=1")),
    Scenario("cross-validate", "first run", ("cross-validate", *TRAINED, "--set", "split.folds=2")),
    Scenario("tune", "first run", ("tune", *TRAINED, "--trials", "2")),
    Scenario("promote", "another seed", ("promote", "1", "--force", "--reason", "it is wanted"), moves=True),
    Scenario("promote the next", "promote", ("promote", "2", "--force", "--reason", "it is wanted"), moves=True),
    Scenario("rollback", "promote the next", ("rollback",), moves=True),
    Scenario("score", "promote", ("score", "scans/test", "--output", "scores")),
    Scenario("predict", "promote", ("predict", SCAN)),
)


@dataclass(frozen=True)
class Row:
    """A kill and what became of it, a line of the table."""

    COLUMNS: ClassVar = ("command", "killed", "after", "left over", "given again", "the same", "traceback")

    command: str
    killed: str
    after: str
    left: str
    again: str
    different: str
    traceback: bool

    @property
    def well(self) -> bool:
        """Whether nothing was lost: no process is left, the command ends well, the home is the unkilled one's."""
        return not (self.left or self.different or self.traceback) and self.again in {"ended with 0", "not needed"}

    def cells(self) -> tuple[str, ...]:
        """Give the row in words, in the order of `COLUMNS`."""
        words = (
            self.left or "nothing",
            self.again,
            f"NO: {self.different}" if self.different else "yes",
            "YES" if self.traceback else "no",
        )
        return self.command, self.killed, self.after, *words


@dataclass(frozen=True)
class Ended:
    """A command that has ended, or was killed.

    Attributes:
        code: Its exit code; negative for a signal.
        words: All that it wrote.
        seconds: What it took.
        left: Its processes that went on, those of a killed one after a while.
    """

    code: int
    words: str
    seconds: float
    left: list[str]


def killed(work: Path, number: int, seed: int) -> Iterator[Row]:
    """Kill so many commands, and give what became of each.

    Args:
        work: A folder for the homes.
        number: How many kills, over all scenarios in turn.
        seed: Draws the moments, and who is killed.
    """
    bench = _Bench(work)
    draw = random.Random(seed)
    for place in range(number):
        scenario = SCENARIOS[place % len(SCENARIOS)]
        yield bench.kill(scenario, draw.uniform(0.02, 1), draw.choice((True, False)))


class _Bench:
    """The homes, each made when it is first needed, at one path: a home that is moved is another fault."""

    def __init__(self, work: Path) -> None:
        self.work, self.home = work, work / "home"
        self.seconds: dict[str, float] = {}
        self.states: dict[str, dict[str, Any]] = {}
        (work / "user").mkdir(exist_ok=True)
        if not (work / "scans").exists():
            self._ready(_run(work, ("phantom", "scans", "--scans", "120", "--size", "48x48"), home=False), "phantom")

    def kill(self, scenario: Scenario, part: float, whole: bool) -> Row:
        """Give a scenario's command, kill it after a part of its time, and put the home in order as a person would."""
        self._make(scenario)
        self._restore(scenario.before)
        moment = part * self.seconds[scenario.name]
        first = self._give(scenario, after=moment, whole=whole)
        left, again, tracebacks = first.left, "not needed", "Traceback" in first.words
        wanted = self.states[scenario.name]
        if scenario.moves:
            told = _run(self.work, ("history",))
            tracebacks |= "Traceback" in told.words
        if not scenario.moves or _in_new_process(_champion, self.home) != wanted["champion"]:
            second = self._give(scenario)
            tracebacks |= "Traceback" in second.words
            left = [*left, *second.left]
            again = f"ended with {second.code}" + ("" if second.code == 0 else f": {_last_line(second.words)}")
        found = _in_new_process(_state, self.home)
        differ = [
            f"{name}: {found.get(name)} in place of {wanted[name]}"
            for name in wanted
            if found.get(name) != wanted[name]
        ]
        return Row(
            scenario.name,
            "all" if whole else "alone",
            f"{moment:.1f} of {self.seconds[scenario.name]:.1f} s",
            "; ".join(left),
            again,
            "; ".join(differ),
            tracebacks,
        )

    def _make(self, scenario: Scenario) -> None:
        """Give a scenario's command to its end, once, and keep the home as it is then."""
        if scenario.name in self.states:
            return
        if scenario.before:
            self._make(next(each for each in SCENARIOS if each.name == scenario.before))
        self._restore(scenario.before)
        ended = self._give(scenario)
        self._ready(ended, scenario.name)
        self.seconds[scenario.name] = ended.seconds
        self.states[scenario.name] = _in_new_process(_state, self.home)
        shutil.rmtree(self.work / scenario.name, ignore_errors=True)
        shutil.copytree(self.home, self.work / scenario.name, symlinks=True)

    def _restore(self, name: str | None) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.work / "scores", ignore_errors=True)
        if name:
            shutil.copytree(self.work / name, self.home, symlinks=True)

    def _give(self, scenario: Scenario, after: float | None = None, whole: bool = False) -> Ended:
        more = ("--prefect-port", _free_port(), "--mlflow-port", _free_port()) if scenario.serves else ()
        scan = str(min((self.work / "scans" / "test").iterdir()))
        command = (scan if part == SCAN else part for part in scenario.command)
        return _run(self.work, (*command, *more), after, whole, UP if scenario.serves else None)

    def _ready(self, ended: Ended, what: str) -> None:
        if ended.code:
            raise SystemExit(f"{what} could not be made: {ended.words}")


def _run(
    work: Path,
    command: tuple[str, ...],
    after: float | None = None,
    whole: bool = False,
    until: str | None = None,
    home: bool = True,
) -> Ended:
    """Give a command to its end, or kill it after so many seconds; one that serves gets Ctrl-C once it has said so."""
    mark = uuid.uuid4().hex
    outside = ("PREFECT_", "MLFLOW_", "XRAY_", "TF_", "KERAS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    environment |= {"HOME": str(work / "user"), "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "-1", MARK: mark}
    arguments = [sys.executable, "-m", "flows.cli", *command, *(("--home", "home") if home else ())]
    log, began = work / "words", time.monotonic()
    with log.open("wb") as words:
        child = subprocess.Popen(
            arguments, cwd=work, env=environment, stdout=words, stderr=words, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        due = began + (MOST if after is None else after)
        _await(lambda: child.poll() is not None or (until is not None and until in _said(log)), due)
        seconds = time.monotonic() - began
        if after is not None:
            _await(lambda: child.poll() is not None, due)
            for process in _marked(mark) if whole else ():
                _end(process)
            child.kill()
        elif child.poll() is None:
            os.killpg(child.pid, signal.SIGINT)
        code = child.wait(MOST)
    _await(lambda: not _marked(mark), time.monotonic() + ORPHANED)
    left = _marked(mark)
    names = [" ".join(process.cmdline())[-80:] for process in left if process.is_running()]
    for process in left:
        _end(process)
    return Ended(code, _said(log), seconds, names)


def _await(condition: Callable[[], bool], until: float) -> None:
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _last_line(words: str) -> str:
    return (words.strip().splitlines() or [""])[-1][:120]


def _end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _in_new_process(work: Callable[[Path], Any], home: Path) -> Any:
    """Ask in a process of its own: one that lives on would hold the database of a home that is no more."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, home).result()


def _champion(home: Path) -> str | None:
    from xray.config import Registry, Workspace
    from xray.promotion.decision_log import DecisionLog

    return DecisionLog(Workspace(home=home), Registry().model_name).champion()


def _state(home: Path) -> dict[str, Any]:
    """Give what must not depend on a kill: no times, and no numbers drawn by lot."""
    import pandas as pd

    from xray.config import Registry, Workspace
    from xray.models.versions import versions
    from xray.promotion.decision_log import DecisionLog
    from xray.promotion.decision_record import MOVES
    from xray.tracking.lookup.list_runs import last_runs

    workspace, named = Workspace(home=home), Registry()
    state: dict[str, Any] = {
        "champion": None,
        "catalogs": sorted(path.parent.name for path in workspace.prepared.glob("*/manifest.json")),
    }
    if (home / "mlruns" / "mlflow.db").exists() and (home / "data" / "trainings").exists():
        runs = last_runs(workspace, named.experiment, 100, "").runs
        state["runs"] = sorted((run.name, run.status, _rounded(run.figures), run.versions, run.parts) for run in runs)
        state["versions"] = [
            (each.version, each.aliases, _rounded(each.figures), each.verdict)
            for each in versions(workspace, named.model_name)
        ]
        decision_log = DecisionLog(workspace, named.model_name)
        state["champion"] = decision_log.champion()
        state["moves"] = [
            (each.verdict, each.draft.before, each.draft.after)
            for each in decision_log.records()
            if each.verdict in MOVES
        ]
    scores = [pd.read_parquet(path) for path in sorted((home.parent / "scores").glob("scores-*.parquet"))]
    if scores:
        table = pd.concat(scores).sort_values("sha256")
        state["scores"] = [(row["sha256"], round(row["p_pneumonia"], DIGITS)) for row in table.to_dict("records")]
    return state


def _rounded(figures: Any) -> list[tuple[str, float]]:
    return sorted((name, round(value, DIGITS)) for name, value in figures.items())
