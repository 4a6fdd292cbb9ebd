"""A table of the report page: columns where there is room, a block a row on a phone."""

import re
from collections.abc import Sequence
from html import escape

from xray.errors import EvaluationError
from xray.table import Table

_NUMBER = re.compile("[-+±<>≤≥\N{MINUS SIGN}]? ?\\d")
_LONGEST_NUMBER = 36


def write_table(caption: str, table: Table) -> str:
    """Write a table as HTML in a frame that scrolls, which it needs only where a word is wider than a column.

    Args:
        caption: What it shows.
        table: A column of it that is mostly numbers is set to the right.

    Raises:
        EvaluationError: A row has not one cell for each column.
    """
    for row in table.rows:
        if len(row) != len(table.columns):
            raise EvaluationError(f"a row must have a cell for each of {list(table.columns)}. Received: {list(row)}")
    cells = enumerate(zip(*table.rows, strict=True))
    kinds = [' class="number"' if place and _of_numbers(column) else "" for place, column in cells]
    heads = "".join(
        f'<th role="columnheader" scope="col"{kind}>{escape(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    lines = "\n".join(f'<tr role="row">{_row(row, kinds, table.columns)}</tr>' for row in table.rows)
    caption = escape(caption)
    # The roles are the elements' own, which a browser forgets where a narrow screen lays rows out as blocks.
    # It takes the keyboard's focus, so that what is wider than the page can be reached without a mouse.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">\n'
        f'<table role="table">\n<caption><span>{caption}</span></caption>\n'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{lines}\n</tbody>\n</table>\n</div>'
    )


def _row(row: Sequence[str], kinds: Sequence[str], columns: Sequence[str]) -> str:
    # On a phone each cell bears its column's name, but where there is only one.
    names = [f' data-column="{escape(column)}"' if len(columns) > 2 else "" for column in columns]
    cells = "".join(
        f'<td role="cell"{kind}{name}>{_cell(cell) if kind else escape(cell)}</td>'
        for cell, kind, name in zip(row[1:], kinds[1:], names[1:], strict=True)
    )
    return f'<th role="rowheader" scope="row">{escape(row[0])}</th>{cells}'


def _cell(cell: str) -> str:
    """Let a figure's interval go below it where the column is narrow; neither is broken."""
    figure, opened, interval = cell.partition(" (")
    if not opened or len(cell) > _LONGEST_NUMBER:
        return escape(cell)
    return f"<span>{escape(figure)}</span> <span>({escape(interval)}</span>"


def _of_numbers(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    return 2 * sum(bool(_NUMBER.match(cell)) and len(cell) <= _LONGEST_NUMBER for cell in filled) > len(filled)
