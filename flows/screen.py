"""What the command shows: log lines, progress bars and tables."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from tasks.progress import watcher
from xray.data.listing import visible


class _Visible(Console):
    """Prints what a name may hold, control characters and bytes that are no UTF-8, as an escape; lines stay lines."""

    def print(self, *objects: Any, **how: Any) -> None:
        shown = ["\n".join(map(visible, each.split("\n"))) if isinstance(each, str) else each for each in objects]
        super().print(*shown, **how)


console = _Visible(highlight=False, markup=False, emoji=False)  # a file may be named [/b].png


class _Lines(logging.Handler):
    """Prints above the bars, a line a record, never wrapped."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(visible(self.format(record)), soft_wrap=True)


@contextmanager
def watching() -> Iterator[None]:
    """Show our log lines, and a bar for whatever a task counts, for as long as the block lasts."""
    logger = logging.getLogger("xray")
    handler = _Lines()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def watch(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total, visible=done < total)

        token = watcher.set(watch)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            watcher.reset(token)


LONGEST_WORD = 24
"""Characters of a word that a table never breaks, so that figures stay whole; a longer one is a path or a digest."""


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is what the others are about. In a file or a pipe no line is broken."""
    rows = [[visible(cell) for cell in row] for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for number, column in enumerate(columns):
        words = " ".join([column, *(row[number] for row in rows)]).split()
        longest = max(map(len, words), default=0)
        table.add_column(column, no_wrap=number == 0, overflow="fold", min_width=min(longest, LONGEST_WORD))
    for row in rows:
        table.add_row(*row)
    least, most = console.measure(table, options=console.options.update(max_width=10_000))
    room = console.width if console.is_terminal else most
    if room < least or not console.is_terminal:
        table.width = max(room, least)
    console.print(table, crop=False, soft_wrap=True)
