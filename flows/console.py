"""The command's output: log lines, progress, and tables."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tasks.progress import Watch, doing, watcher
from xray.data.sources.file_listing import visible


class _Visible(Console):
    """Prints control characters and bytes that are not UTF-8 as escapes; line breaks stay."""

    def print(self, *objects: Any, **how: Any) -> None:
        shown = ["\n".join(map(visible, each.split("\n"))) if isinstance(each, str) else each for each in objects]
        super().print(*shown, **how)


console = _Visible(highlight=False, markup=False, emoji=False)  # a file may be named [/b].png

SILENT_SECONDS = 2.0
"""In a file or a pipe, what is over within this time is not told."""

SECONDS_BETWEEN_LINES = 15.0
"""There, what lasts says again how far it is when so long nothing else was printed."""


class _Lines(logging.Handler):
    """Prints above the bars, a line a record, never wrapped."""

    def __init__(self, printed: Callable[[], None]) -> None:
        super().__init__()
        self._printed = printed
        self.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        console.print(visible(self.format(record)), soft_wrap=True)
        self._printed()


@contextmanager
def watching() -> Iterator[None]:
    """Show our log lines, and what the tasks do and count, for as long as the block lasts: bars, or lines in a pipe."""
    logger = logging.getLogger("xray")
    with _bars() if console.is_terminal else _told() as (watch, printed):
        handler = _Lines(printed)
        token = watcher.set(watch)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            watcher.reset(token)


@contextmanager
def working(server: AbstractContextManager[None]) -> Iterator[None]:
    """Watch, and have a server, for as long as the block lasts.

    Args:
        server: What has Prefect's server, as `flows.servers.environment.served` gives it.
    """
    with watching(), ExitStack() as ends:
        with doing("waiting for Prefect's server"):
            ends.enter_context(server)
        yield


class _Far(ProgressColumn):
    """Done and total; without a total, the elapsed time."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{task.elapsed or 0:.0f} s")
        left = "" if task.time_remaining is None else f", {task.time_remaining:.0f} s left"
        return Text(f"{task.completed:.0f}/{task.total:.0f}{left}")


@contextmanager
def _bars() -> Iterator[tuple[Watch, Callable[[], None]]]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), _Far())
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def watch(what: str, done: int, total: int | None) -> None:
            if total is not None and done >= total:
                if what in bars:
                    progress.remove_task(bars.pop(what))
                return
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total)

        yield watch, lambda: None


class LineProgress:
    """Progress as occasional lines, for a file or a pipe.

    Args:
        now: The time, in seconds.
    """

    def __init__(self, now: float) -> None:
        """Start without any progress."""
        self._begun: dict[str, float] = {}
        self._far: dict[str, tuple[int, int | None]] = {}
        self._told: set[str] = set()
        self._last = now

    def watch(self, what: str, done: int, total: int | None, now: float) -> None:
        """Receive progress: `tasks.progress.Watch`."""
        if total is not None and done >= total:
            self._begun.pop(what, None)
            self._told.discard(what)
        else:
            self._begun.setdefault(what, now)
            self._far[what] = done, total

    def printed(self, now: float) -> None:
        """Note that a line was printed."""
        self._last = now

    def line(self, now: float) -> str | None:
        """Give the line that is due, if one is; it counts as printed."""
        lasting = [what for what, begun in self._begun.items() if now - begun >= SILENT_SECONDS]
        new = next((what for what in lasting if what not in self._told), None)
        if new is None and (not lasting or now - self._last < SECONDS_BETWEEN_LINES):
            return None
        what = new or lasting[-1]
        self._told.add(what)
        self._last = now
        done, total = self._far[what]
        if total is not None:
            return f"{what}: {done:,} of {total:,}"
        return what if new else f"{what}, for {now - self._begun[what]:.0f} s"


@contextmanager
def _told() -> Iterator[tuple[Watch, Callable[[], None]]]:
    plain, lock, over = LineProgress(time.monotonic()), threading.Lock(), threading.Event()

    def watch(what: str, done: int, total: int | None) -> None:
        with lock:
            plain.watch(what, done, total, time.monotonic())

    def tell() -> None:
        while not over.wait(0.5):
            with lock:
                line = plain.line(time.monotonic())
            if line is not None:
                console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield watch, lambda: plain.printed(time.monotonic())
    finally:
        over.set()
        teller.join()


LONGEST_WORD = 24
"""Characters of a word that a table never breaks, so that figures stay whole; a longer one is a path or a digest."""


MOST_WRAPPED = 4
"""Columns of a table whose cells are broken over lines where the terminal is narrow; of more, little could be read."""


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is what the others are about. In a file or a pipe no line is broken.

    A cell may have several lines; whatever else no terminal should print is shown escaped.

    On a terminal that is too narrow for it the lines between columns go, then cells are broken over lines or, where
    there are many columns, each row becomes a paragraph.
    """
    rows = [["\n".join(map(visible, cell.split("\n"))) for cell in row] for row in rows]
    endless = console.options.update(max_width=10_000)
    for is_plain in (False, True):
        table = _table(title, columns, rows, is_plain)
        most = console.measure(table, options=endless).maximum
        if not console.is_terminal or most <= console.width:
            table.width = most
            break
    else:
        table.width = console.width
        drawn = console.render_lines(table, endless, pad=False)
        if len(columns) > MOST_WRAPPED or max(map(Segment.get_line_length, drawn)) > console.width:
            _show_paragraphs(title, columns, rows)
            return
    console.print(table, crop=False, soft_wrap=True)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], is_plain: bool) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    if is_plain:
        table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 1, 0, 0)
    for number, column in enumerate(columns):
        words = " ".join([column, *(row[number] for row in rows)]).split()
        longest = max(map(len, words), default=0)
        table.add_column(column, no_wrap=number == 0, overflow="fold", min_width=min(longest, LONGEST_WORD))
    for row in rows:
        table.add_row(*row)
    return table


def _show_paragraphs(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row under the words of its first column, no value apart from its name and none broken."""
    console.print(title, style="bold", soft_wrap=True)
    for first, *others in rows:
        console.print("  ".join(first.splitlines()), soft_wrap=True)
        line = ""
        for name, cell in zip(columns[1:], others, strict=True):
            said = f"{name} {' '.join(cell.split())}".strip()
            if not cell.strip():
                continue
            if line and len(line) + len(said) + 3 > console.width:
                console.print(line, soft_wrap=True)
                line = ""
            line += f"   {said}" if line else f"  {said}"
        console.print(line, soft_wrap=True)


def show_safety() -> None:
    """Print what a model is not, the last line of each command that shows an answer; never broken in a pipe."""
    from xray.evaluation.reporting.model_card import SAFETY

    console.print(SAFETY, style="dim", soft_wrap=True)
