"""What a task shows in Prefect's UI: a table, a text or a bar, each with words that say what it is.

A server that is away costs what it would have shown, and never the work.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

log = logging.getLogger(__name__)

AWAY = (httpx.HTTPError, PrefectException, RuntimeError)
"""What Prefect's client raises for a server that does not answer; the last, where it asks for its version first."""


def show_rows(key: str, description: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Show a table.

    Args:
        key: Names it across runs: lower case, digits and dashes.
        description: What it holds, a sentence.
        rows: Each by the names of its columns.
    """
    _or_said(lambda: create_table_artifact([dict(row) for row in rows], key=key, description=description))


def show_table(key: str, description: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show a table whose columns are named once; else as `show_rows`."""
    show_rows(key, description, [dict(zip(columns, row, strict=True)) for row in rows])


def show_text(key: str, description: str, markdown: str) -> None:
    """Show a text, Markdown; else as `show_rows`."""
    _or_said(lambda: create_markdown_artifact(markdown, key=key, description=description))


def make_bar(what: str) -> UUID | None:
    """Show a bar at nothing; None where the server is away.

    Args:
        what: A word, lower case, such as `epochs`.
    """
    words = f"How many {what} are done."
    made = _or_said(lambda: create_progress_artifact(progress=0.0, key=f"progress-{what}", description=words))
    return cast(UUID | None, made)  # a coroutine only where a loop runs, which is in no task of ours


def move_bar(bar: UUID, percent: float) -> bool:
    """Move a bar, 0 to 100; give whether the server has heard."""
    return _or_said(lambda: update_progress_artifact(bar, progress=percent)) is not None


def _or_said(call: Callable[[], object]) -> object:
    """Give what a call gives; None, and a line in the log, where the server is away."""
    try:
        return call()
    except AWAY as error:
        log.warning("Prefect's server does not answer, the work continues: %s", error)
        return None
