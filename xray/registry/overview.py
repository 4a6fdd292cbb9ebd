"""The last runs of an experiment, with the figures that matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from xray.config import Places
from xray.errors import RegistryError
from xray.registry.experiments import VIEW_TAG, runs_page, set_up
from xray.registry.finding import SHOWN_DIGITS
from xray.registry.store import reached, store_of

FIGURES = ("test.auc", "test.accuracy", "test.sensitivity", "test.specificity", "validation.auc")
COLUMNS = ("run", "recipe", "status", *(name.removeprefix("test.").replace(".", " ") for name in FIGURES))
"""What the columns of `RunLine.row` hold."""

ABSENT = "-"


@dataclass(frozen=True)
class RunLine:
    """A run in a list.

    Attributes:
        run_id: The MLflow run.
        name: Its name.
        status: As MLflow has it, in small letters: running, finished, failed, killed, scheduled.
        recipe: The recipe it came from; None where it has none.
        finished: When it ended; None while it runs.
        figures: Those of `FIGURES` that it has, with `test.auc_low` and `test.auc_high`.
        versions: What was registered from it, as NAME/VERSION, the oldest first.
        parent: The run that it is a part of, if any.
    """

    run_id: str
    name: str
    status: str
    recipe: str | None
    finished: datetime | None
    figures: Mapping[str, float]
    versions: tuple[str, ...]
    parent: str | None

    def row(self) -> tuple[str, ...]:
        """Write it in words, under `COLUMNS`; the time is this machine's."""
        indent = "  " if self.parent else ""
        lines = (self.name, self.run_id[:SHOWN_DIGITS], *self.versions)
        ended = f"{self.finished.astimezone():%Y-%m-%d %H:%M}" if self.finished else ""
        return (
            "\n".join(f"{indent}{line}" for line in lines),
            self.recipe or ABSENT,
            f"{self.status} {ended}".rstrip(),
            *(self._figure(name) for name in FIGURES),
        )

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON-like values; times in UTC, as ISO 8601 has them."""
        return {**vars(self), "finished": self.finished.isoformat() if self.finished else None}

    def _figure(self, name: str) -> str:
        if name not in self.figures:
            return ABSENT
        low, high = self.figures.get(f"{name}_low"), self.figures.get(f"{name}_high")
        interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
        return f"{self.figures[name]:.3f}{interval}"


@dataclass(frozen=True)
class Overview:
    """The last runs of an experiment.

    Attributes:
        experiment: Its name.
        page: Its address in MLflow's UI.
        is_served: Whether a server answers there already.
        runs: The last ones, the newest first.
    """

    experiment: str
    page: str
    is_served: bool
    runs: tuple[RunLine, ...]


def last_runs(places: Places, experiment: str, last: int, address: str) -> Overview:
    """List the last runs of an experiment.

    Args:
        places: Where MLflow's store lies.
        experiment: The experiment's name.
        last: Most runs, at least 1.
        address: The address of MLflow's UI on a store that is no server.

    Raises:
        RegistryError: There is no such experiment, or the store cannot be reached.
    """
    store = store_of(places)
    client = store.client()
    with reached(store):
        found = client.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(sorted(each.name for each in client.search_experiments()))
            raise RegistryError(f"--experiment must be one of {names}. Received: {experiment}")
        set_up(client, found)
        runs = client.search_runs([found.experiment_id], max_results=last, order_by=["attributes.start_time DESC"])
        versions = _versions(client, [run.info.run_id for run in runs])
    page = runs_page(store.shown if store.is_server else address, found.experiment_id)
    lines = tuple(_line(run, versions.get(run.info.run_id, ())) for run in runs)
    return Overview(experiment, page, store.is_server, lines)


def pages(places: Places, address: str) -> dict[str, str]:
    """Give the page of each experiment's runs in MLflow's UI, by the experiment's name.

    Args:
        places: Where MLflow's store lies.
        address: The address of MLflow's UI.

    Raises:
        RegistryError: The store cannot be reached.
    """
    store = store_of(places)
    client = store.client()
    with reached(store):
        ours = [each for each in client.search_experiments() if VIEW_TAG in each.tags]
    return {each.name: runs_page(address, each.experiment_id) for each in ours}


def _line(run: Run, versions: tuple[str, ...]) -> RunLine:
    wanted = {*FIGURES, "test.auc_low", "test.auc_high"}
    return RunLine(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status.lower(),
        recipe=run.data.params.get("recipe"),
        finished=datetime.fromtimestamp(run.info.end_time / 1000, UTC) if run.info.end_time else None,
        figures={name: value for name, value in run.data.metrics.items() if name in wanted},
        versions=versions,
        parent=run.data.tags.get("mlflow.parentRunId"),
    )


def _versions(client: MlflowClient, run_ids: list[str]) -> dict[str, tuple[str, ...]]:
    if not run_ids:
        return {}
    words = ", ".join(f"'{run_id}'" for run_id in run_ids)
    found = client.search_model_versions(f"run_id IN ({words})")
    ordered = sorted(found, key=lambda each: (each.name, int(each.version)))
    return {
        run_id: tuple(f"{each.name}/{each.version}" for each in ordered if each.run_id == run_id) for run_id in run_ids
    }
