"""Parent runs: opened first, and completed last with the results of their child runs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from xray.config import Workspace
from xray.errors import StoreError, by_cause
from xray.evaluation.reporting.model_card import SAFETY
from xray.table import Table
from xray.tracking.run_artifacts import TABLES_TAG
from xray.tracking.run_identity import PARENT_TAG, RunFacts
from xray.tracking.store import reached, store_of
from xray.tracking.tracker import Tracker

KIND_TAG = "kind"
"""What a parent's children are to each other."""


class ParentRun:
    """The MLflow run of several trainings: opened before they begin, completed with what they come to.

    Args:
        folder: Remembers the run; named by what the children are.
        workspace: Where MLflow's store lies.
        facts: What the run is told of itself.
        kind: What the children are to each other, such as `seeds`.

    Raises:
        StoreError: The folder could not be written.
    """

    def __init__(self, folder: Path, workspace: Workspace, facts: RunFacts, kind: str) -> None:
        """Make the folder; the run itself is opened with its first use."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise by_cause(StoreError, f"{folder.parent} must be writable. Received: {error}", error) from error
        facts = replace(facts, tags={**facts.tags, "training": None, KIND_TAG: kind})
        self.tracker = Tracker(store_of(workspace), folder, facts)

    @contextmanager
    def opened(self) -> Iterator[str | None]:
        """Open the run, and close it as failed or killed where the block ends so.

        Yields:
            The run's id; None where the store is away, which stops nothing: `completed` takes the children in later.
        """
        try:
            yield self.tracker.require()[1] if self.tracker.open() else None
        except BaseException as error:
            self.tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise

    @contextmanager
    def above(self, children: Iterable[str]) -> Iterator[tuple[MlflowClient, str]]:
        """Put every child's run below this one, also one that was a plain run before.

        Args:
            children: Their runs.

        Yields:
            A connected client and the run's id, to write what the children come to; nothing but MLflow is meant there.

        Raises:
            RegistryError: The store cannot be reached, in the block too.
        """
        client, run_id = self.tracker.require()
        with reached(self.tracker.store):
            for child in children:
                client.set_tag(child, PARENT_TAG, run_id)
            yield client, run_id

    @contextmanager
    def completed(self, children: Iterable[str] = ()) -> Iterator[tuple[MlflowClient, str]]:
        """Finish the run after the block; else as `above`."""
        with self.above(children) as written:
            yield written
        self.tracker.finish()


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
    parts = [f"## {name.capitalize()}\n\n{table.markdown()}" for name, table in tables.items()]
    return "\n\n".join([*parts, SAFETY]) + "\n"
