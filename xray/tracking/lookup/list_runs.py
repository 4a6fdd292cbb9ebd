"""The last runs of an experiment, with their main metrics.

Runs that are part of another one, as a search's trials and a cross-validation's folds, are counted in the line of that
one, so that ten trials push no other run out of the list. One that a version comes from has a line of its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.metrics.names import HEADLINE
from xray.tracking.lookup.find_run import SHOWN_DIGITS, find_run
from xray.tracking.run_identity import PARENT_TAG
from xray.tracking.stale_runs import sweep
from xray.tracking.store import reached, store_of
from xray.tracking.ui_views import VIEW_TAG, runs_page, set_up

METRICS = (*(f"test.{name}" for name in HEADLINE), "validation.auc")
COLUMNS = ("run", "recipe", "data", "status", *(name.removeprefix("test.").replace(".", " ") for name in METRICS))
"""What the columns of `RunLine.row` hold."""

ABSENT = "-"
NEWEST_FIRST = "attributes.start_time DESC"
MOST_FOUND = 1000
"""Runs that MLflow gives at a time, and as many versions are looked at, the newest first."""


@dataclass(frozen=True)
class RunLine:
    """A run in a list.

    Attributes:
        run_id: The MLflow run.
        name: Its name.
        status: As MLflow has it, in small letters: running, finished, failed, killed, scheduled.
        recipe: The recipe it came from; None where it has none.
        data: The data sets that it is of.
        finished: When it ended; None while it runs.
        figures: Those of `METRICS` that it has, with `test.auc_low` and `test.auc_high`.
        versions: What was registered from it, as NAME/VERSION, the oldest first.
        parent: The run that it is a part of, if any.
        parts: How many runs are part of it.
    """

    run_id: str
    name: str
    status: str
    recipe: str | None
    data: tuple[str, ...]
    finished: datetime | None
    figures: Mapping[str, float]
    versions: tuple[str, ...]
    parent: str | None
    parts: int

    def row(self) -> tuple[str, ...]:
        """Write it in words, under `COLUMNS`; the time is this machine's."""
        parts = (f"{self.parts:,} run{'' if self.parts == 1 else 's'} below",) if self.parts else ()
        below = (f"below {self.parent[:SHOWN_DIGITS]}",) if self.parent else ()
        lines = (self.name, self.run_id[:SHOWN_DIGITS], *self.versions, *parts, *below)
        ended = f"{self.finished.astimezone():%Y-%m-%d %H:%M}" if self.finished else ""
        return (
            "\n".join(lines),
            self.recipe or ABSENT,
            ", ".join(self.data) or ABSENT,
            f"{self.status} {ended}".rstrip(),
            *(self._figure(name) for name in METRICS),
        )

    def to_dict(self) -> dict[str, Any]:
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


def last_runs(workspace: Workspace, experiment: str, last: int, address: str, below: str | None = None) -> Overview:
    """List the last runs of an experiment, or those that are part of one of them.

    Args:
        workspace: Where MLflow's store lies.
        experiment: The experiment's name.
        last: Most runs, at least 1.
        address: The address of MLflow's UI on a store that is no server.
        below: The run whose parts are listed, as `find_run.find_run` takes it.

    Raises:
        RegistryError: There is no such experiment or run, or the store cannot be reached.
    """
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        found = client.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(sorted(each.name for each in client.search_experiments()))
            raise RegistryError(f"--experiment must be one of {names}. Received: {experiment}")
        set_up(client, found)
        sweep(client, found.experiment_id)
        versions = client.search_model_versions(max_results=MOST_FOUND, order_by=["creation_timestamp DESC"])
        if below is None:
            runs = _whole_runs(client, found.experiment_id, last, versions)
        else:
            words = f"tags.`{PARENT_TAG}` = '{find_run(client, below).info.run_id}'"
            runs = client.search_runs([found.experiment_id], words, max_results=last, order_by=[NEWEST_FIRST])
        parts = _parts(client, found.experiment_id)
    page = runs_page(store.shown if store.is_server else address, found.experiment_id)
    lines = tuple(_line(run, versions, parts[run.info.run_id]) for run in runs)
    return Overview(experiment, page, store.is_server, lines)


def pages(workspace: Workspace, address: str) -> dict[str, str]:
    """Give the page of each experiment's runs in MLflow's UI, by the experiment's name.

    Args:
        workspace: Where MLflow's store lies.
        address: The address of MLflow's UI.

    Raises:
        RegistryError: The store cannot be reached.
    """
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        ours = [each for each in client.search_experiments() if VIEW_TAG in each.tags]
    return {each.name: runs_page(address, each.experiment_id) for each in ours}


def _whole_runs(client: MlflowClient, experiment: str, last: int, versions: Sequence[ModelVersion]) -> list[Run]:
    """List the last runs that are part of no other, or that a version comes from."""
    whole = client.search_runs([experiment], f"tags.`{PARENT_TAG}` IS NULL", max_results=last, order_by=[NEWEST_FIRST])
    found = {run.info.run_id: run for run in whole}
    others = sorted({str(each.run_id) for each in versions if each.run_id} - found.keys())
    if others:
        words = ", ".join(f"'{run_id}'" for run_id in others)
        registered = client.search_runs([experiment], f"attributes.run_id IN ({words})", max_results=MOST_FOUND)
        found |= {run.info.run_id: run for run in registered}
    return sorted(found.values(), key=lambda run: -int(run.info.start_time))[:last]


def _parts(client: MlflowClient, experiment: str) -> Counter[str]:
    """Count the runs that are part of each run."""
    counts: Counter[str] = Counter()
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`{PARENT_TAG}` IS NOT NULL", max_results=MOST_FOUND, page_token=token
        )
        counts.update(run.data.tags[PARENT_TAG] for run in page)
        token = page.token
        if not token:
            return counts


def _line(run: Run, versions: Sequence[ModelVersion], parts: int) -> RunLine:
    wanted = {*METRICS, "test.auc_low", "test.auc_high"}
    own = sorted((each.name, int(each.version)) for each in versions if each.run_id == run.info.run_id)
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return RunLine(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status.lower(),
        recipe=run.data.params.get("recipe"),
        data=tuple(sorted({each.dataset.name for each in inputs})),
        finished=datetime.fromtimestamp(run.info.end_time / 1000, UTC) if run.info.end_time else None,
        figures={name: value for name, value in run.data.metrics.items() if name in wanted},
        versions=tuple(f"{name}/{version}" for name, version in own),
        parent=run.data.tags.get(PARENT_TAG),
        parts=parts,
    )
