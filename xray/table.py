"""A table of words: for a page, a card, a note and the terminal alike."""

from collections.abc import Sequence
from typing import NamedTuple


class Table(NamedTuple):
    """Columns and rows, in words; as JSON it is a list of both.

    Attributes:
        columns: Headings. The first column names the rows.
        rows: Cells, one for each column.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Write it as a Markdown table."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
