"""Two ways of one thing, timed in turn: rows of medians, and the machine that they were measured on."""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SIZES = ("tiny", "usual", "full")
COLUMNS = ("question", "ours", "rival", "ratio", "wanted", "spread", "remark")
DATA = "XRAY_BENCH_DATA"
LIBRARIES = ("numpy", "pillow", "pyarrow", "tensorflow", "keras", "prefect", "mlflow")


@dataclass(frozen=True)
class Row:
    """The answer to a question.

    Attributes:
        question: What was timed.
        ours: Median seconds of ours.
        rival: Median seconds of the rival.
        wanted: The ratio, or the time, that is to be reached, in words.
        spread: Least and largest ratio of a round, in words.
        remark: What a reader must know besides.
    """

    question: str
    ours: float
    rival: float
    wanted: str = ""
    spread: str = ""
    remark: str = ""

    def cells(self) -> tuple[str, ...]:
        """Give the row in words, in the order of `COLUMNS`."""
        ratio = f"{self.rival / self.ours:.2f} x"
        return self.question, _seconds(self.ours), _seconds(self.rival), ratio, self.wanted, self.spread, self.remark


@dataclass(frozen=True)
class Options:
    """How a script runs.

    Attributes:
        size: One of `SIZES`.
        rounds: Alternating runs of both sides, at least 1.
        data: A folder in CoronaHack's layout, or None for phantoms alone.
        work: Where scans and stores are made.
    """

    size: str
    rounds: int
    data: Path | None
    work: Path

    def pick(self, tiny: int, usual: int, full: int) -> int:
        """Choose a number by the size."""
        return dict(zip(SIZES, (tiny, usual, full), strict=True))[self.size]

    def phantoms(self, scans: int, size: tuple[int, int]) -> Path:
        """Make phantoms of a width and height, or find them."""
        from xray.data.phantoms.write_phantoms import write_phantoms
        from xray.data.sources.coronahack import METADATA_NAME

        folder = self.work / f"phantoms-{scans}-{size[0]}x{size[1]}"
        if not (folder / METADATA_NAME).is_file():  # it comes last
            write_phantoms(folder, scans, seed=0, size=size)
        return folder


def scans_of(folder: Path) -> list[str]:
    """List the scans of a folder in CoronaHack's layout, relative to it."""
    paths = [path for part in ("train", "test") for path in sorted((folder / part).iterdir())]
    return [str(path.relative_to(folder)) for path in paths]


def timed(work: Callable[[], Any]) -> float:
    """Give the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternate(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let each side time itself in turn, the first of a round being the last of the next.

    Args:
        sides: From a name to what gives seconds.
        rounds: How often each is asked, at least 1.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in names:
            seconds[name].append(sides[name]())
    return seconds


def answer(question: str, ours: Sequence[float], rival: Sequence[float], wanted: str = "", remark: str = "") -> Row:
    """Make a row of the seconds of several rounds, a round's two at one place."""
    ratios = [theirs / own for own, theirs in zip(ours, rival, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return Row(question, statistics.median(ours), statistics.median(rival), wanted, spread, remark)


def show(rows: Iterable[Row], machine: Sequence[str]) -> None:
    """Print the table, and the machine below it."""
    table = Table(*COLUMNS[:1])
    for name in COLUMNS[1:4]:
        table.add_column(name, justify="right", no_wrap=True)
    for name in COLUMNS[4:]:
        table.add_column(name)
    for row in rows:
        table.add_row(*row.cells())
    console = Console()
    console = console if console.is_terminal else Console(width=180)
    console.print(table)
    for line in machine:
        console.print(line, highlight=False, soft_wrap=True)


def machine() -> list[str]:
    """Describe this machine in two lines: its hardware and load, and the versions of what is compared."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    hardware = f"{_processor()}, {cores} cores, {pages / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f} at the start"
    return [hardware, f"Python {platform.python_version()}, {versions}"]


def parser(about: str | None) -> argparse.ArgumentParser:
    """Take the options that every script has."""
    arguments = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", choices=SIZES, default="usual", help="how many scans; tiny shows that it runs")
    arguments.add_argument("--rounds", type=int, default=3, help="alternating runs of both sides")
    arguments.add_argument("--data", type=Path, help=f"a folder in CoronaHack's layout; else ${DATA}; else phantoms")
    arguments.add_argument("--work", type=Path, help="a folder for scans and stores; else one that is removed")
    arguments.add_argument("--rows", type=Path, help="write the rows here as JSON and print nothing")
    return arguments


def run(measure: Callable[[Options], list[Row]], chosen: argparse.Namespace) -> None:
    """Measure, and print the table or write its rows."""
    described = machine()
    with workplace(chosen.work) as work:
        rows = measure(Options(chosen.size, max(1, chosen.rounds), data_folder(chosen.data), work))
    if chosen.rows:
        chosen.rows.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    else:
        show(rows, described)


def data_folder(given: Path | None) -> Path | None:
    """Find the folder of real scans, or None where none is named."""
    return given or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)


@contextmanager
def workplace(given: Path | None) -> Iterator[Path]:
    """Have a folder to work in: the one that is given, which stays, or a temporary one."""
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="xray-bench-") as scratch:
        yield Path(scratch)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    family, model = (facts.get(name, "?") for name in ("cpu family", "model"))
    return f"{facts.get('model name', platform.machine())} (family {family}, model {model})"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"
