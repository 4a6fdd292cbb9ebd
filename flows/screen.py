"""What the command shows: log lines, progress bars and tables."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table

from tasks.progress import watcher

console = Console(highlight=False, markup=False, emoji=False)  # a file may be named [/b].png


class _Lines(logging.Handler):
    """Prints above the bars, a line a record, never wrapped."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(self.format(record), soft_wrap=True)


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


MOST_WRAPPED = 4
"""Columns of a table whose cells are broken over lines where the terminal is narrow; of more, little could be read."""


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is what the others are about. In a file or a pipe no line is broken.

    On a terminal that is too narrow for it the lines between columns go, then cells are broken over lines or, where
    there are many columns, each row becomes a paragraph.
    """
    rows = list(rows)
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
