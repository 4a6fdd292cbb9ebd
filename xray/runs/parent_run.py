"""Runs that other runs lie below: opened first, and completed last with what the others come to."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from xray.config import Places
from xray.errors import StoreError
from xray.evaluation.decision.rule_metrics import Table
from xray.evaluation.reporting.model_card import SAFETY
from xray.tracking.run_artifacts import TABLES_TAG
from xray.tracking.run_identity import PARENT_TAG, RunFacts
from xray.tracking.store import store_of
from xray.tracking.tracker import Tracker

KIND_TAG = "kind"
"""What a parent's children are to each other."""


def parent_run(folder: Path, places: Places, facts: RunFacts) -> Tracker:
    """Make the folder that remembers a parent run; the run itself is opened with its first use.

    Args:
        folder: Named by what the children are.
        places: Where MLflow's store lies.
        facts: What the run is told of itself.

    Raises:
        StoreError: The folder could not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder.parent} must be writable. Received: {error}") from error
    return Tracker(store_of(places), folder, facts)


@contextmanager
def held_open(tracker: Tracker) -> Iterator[str | None]:
    """Open a parent run, and close it as failed or killed where the block ends so.

    Yields:
        The run's id; None where the store is away.
    """
    try:
        yield tracker.require()[1] if tracker.open() else None
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def adopt(client: MlflowClient, parent: str, children: Sequence[str]) -> None:
    """Put every child's run below a parent, also one that was a plain run before.

    Args:
        client: A connected client.
        parent: The parent's run.
        children: Their runs.

    Raises:
        MlflowException: The store cannot be reached.
    """
    for child in children:
        client.set_tag(child, PARENT_TAG, parent)


def log_children(client: MlflowClient, parent: str, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Keep a row a child in the parent's run, as a table that MLflow's UI shows beside those that are there.

    Args:
        client: A connected client.
        parent: The parent's run.
        name: Of the table's file.
        lines: What is said of each child, all under the same names.

    Raises:
        MlflowException: The store cannot be reached.
    """
    columns = list(lines[0])
    table = {"columns": columns, "data": [[line.get(column) for column in columns] for line in lines]}
    client.log_text(parent, json.dumps(table), name)
    shown = json.loads(client.get_run(parent).data.tags.get(TABLES_TAG, "[]"))
    entry = {"path": name, "type": "table"}
    client.set_tag(parent, TABLES_TAG, json.dumps(shown if entry in shown else [*shown, entry]))


def note(tables: Mapping[str, Table]) -> str:
    """Describe a parent run, Markdown: its tables and the safety line."""
    parts = []
    for name, (columns, rows) in tables.items():
        lines = [columns, ["---"] * len(columns), *rows]
        parts += [f"## {name.capitalize()}", "\n".join("| " + " | ".join(line) + " |" for line in lines)]
    return "\n\n".join([*parts, SAFETY]) + "\n"
