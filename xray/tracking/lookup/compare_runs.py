"""Runs from MLflow, compared on the TEST scans of their evaluation."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from xray.config import Workspace
from xray.errors import EvaluationError, RegistryError
from xray.evaluation.metrics.paired_comparison import Comparison, compare, shared
from xray.tracking.lookup.find_run import find_run, find_version, shown
from xray.tracking.lookup.overwritten_metrics import THRESHOLD, is_overwritten
from xray.tracking.run_config import evaluation_of, settings_of
from xray.tracking.store import Store, reached, store_of

SCORES_FILE = "scores.parquet"
DATA_TAGS = {"catalog": "catalog", "normalizer": "normalizer"}
CODE_TAG = "git_commit"
NOT_COMPARED = ("about.", "promotion.")
"""Settings that decide nothing of a run: what a recipe says of itself, and what is asked of a champion later."""

ABSENT = "-"


@dataclass(frozen=True)
class Side:
    """A run and what it was judged by.

    Attributes:
        run_id: The MLflow run.
        name: Its name and the first digits of its id.
        settings: The configuration that it ended with.
        data: What its scans were: data set, catalog, normalizer.
        code: The commit of the code.
        threshold: 0 to 1, chosen on validation.
        scores: A row a TEST scan, as `paired_comparison.compare` takes them.
    """

    run_id: str
    name: str
    settings: Mapping[str, str]
    data: Mapping[str, str]
    code: str
    threshold: float
    scores: pd.DataFrame


@dataclass(frozen=True)
class Compared:
    """A run compared with the first one.

    Attributes:
        first: The first run's name.
        second: The other run's name.
        own: TEST scans that each was judged on.
        comparison: Both on the scans that they share.
    """

    first: str
    second: str
    own: tuple[int, int]
    comparison: Comparison

    @property
    def title(self) -> str:
        """Say what is compared, and on which scans."""
        found = self.comparison
        scans = f"{found.scans:,} TEST scans of {found.patients:,} patients"
        if self.own != (found.scans, found.scans):
            scans = f"only the {scans} that both were judged on, of {self.own[0]:,} and {self.own[1]:,}"
        return f"{self.second} against {self.first}, {scans}"


@dataclass(frozen=True)
class RunsCompared:
    """Several runs, side by side.

    Attributes:
        names: The runs, as they were asked for.
        differing: What differs between them: a row of words each, kind and name, then a value for each run.
        compared: Each later run with the first.
    """

    names: tuple[str, ...]
    differing: tuple[tuple[str, ...], ...]
    compared: tuple[Compared, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as JSON-like values."""
        return {
            "runs": list(self.names),
            "differing": [{"what": what, "name": name, "values": values} for what, name, *values in self.differing],
            "compared": [_as_json(each) for each in self.compared],
        }


def compare_runs(workspace: Workspace, runs: Sequence[str], on_shared: bool = False) -> RunsCompared:
    """Compare each later run with the first, on the TEST scans they were judged on.

    Args:
        workspace: Where MLflow's store lies.
        runs: Two or more, named as `find_run.find_run` takes them.
        on_shared: Compare runs that were judged on different scans on those that both have.

    Raises:
        RegistryError: One is not to be found, was not judged or is named twice, an older version of this code wrote
            another evaluation over its figures, or the store cannot be reached.
        EvaluationError: They were judged on different scans, or share too few.
    """
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        found = [_found(store, client, word) for word in runs]
        if len({run.info.run_id for run in found}) < len(found):
            raise RegistryError(f"runs must differ to be compared. Received: {', '.join(map(shown, found))}")
        sides = [_side(client, run) for run in found]
    first, *others = sides
    compared = tuple(_compared(first, other, on_shared) for other in others)
    return RunsCompared(tuple(side.name for side in sides), tuple(_differing(sides)), compared)


def _found(store: Store, client: MlflowClient, word: str) -> Run:
    run, version = find_run(client, word), find_version(client, word)
    if version is not None and is_overwritten(store, run, version):
        raise RegistryError(
            "a version must have its own metrics to be compared: an older xray overwrote them with others, "
            f"in run {shown(run)}; the same xray run again gives them their own run. Received: {word}"
        )
    return run


def _side(client: MlflowClient, run: Run) -> Side:
    name, tags = shown(run), run.data.tags
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    if SCORES_FILE not in files or THRESHOLD not in run.data.metrics:
        raise RegistryError(
            f"a run must be evaluated on TEST scans to be compared. Received: {name}, {run.info.status.lower()}, "
            f"without {SCORES_FILE if SCORES_FILE not in files else THRESHOLD}"
        )
    with tempfile.TemporaryDirectory() as scratch:
        scores = pd.read_parquet(Path(client.download_artifacts(run.info.run_id, SCORES_FILE, scratch)))
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return Side(
        run_id=run.info.run_id,
        name=name,
        settings=settings_of(run),
        data={
            "data set": ", ".join(sorted({each.dataset.name for each in inputs})) or ABSENT,
            **{name: tags.get(tag, ABSENT) for name, tag in DATA_TAGS.items()},
        },
        code=tags.get(CODE_TAG, ABSENT),
        threshold=run.data.metrics[THRESHOLD],
        scores=scores[scores["split"] == "test"].reset_index(drop=True),
    )


def _compared(first: Side, second: Side, on_shared: bool) -> Compared:
    tables = (first.scores, second.scores)
    own = (len(first.scores), len(second.scores))
    both = shared(*tables)
    if own != (len(both[0]), len(both[1])):
        counts = f"{first.name} on {own[0]:,}, {second.name} on {own[1]:,}, {len(both[0]):,} of them shared"
        if not on_shared:
            raise EvaluationError(
                "runs must be evaluated on the same TEST scans, with the same patients and labels; --shared compares "
                f"them on the scans that both have. Received: {counts}"
            )
        if both[0]["label"].nunique() < 2:
            raise EvaluationError(f"runs must share TEST scans of both labels. Received: {counts}")
        tables = both
    thresholds = (first.threshold, second.threshold)
    return Compared(first.name, second.name, own, compare(*tables, thresholds, evaluation_of(first.settings)))


def _differing(sides: Sequence[Side]) -> list[tuple[str, ...]]:
    described = [
        {
            **{("configuration", name): value for name, value in _compared_settings(side).items()},
            **{("data", name): value for name, value in side.data.items()},
            ("data", "TEST scans"): f"{len(side.scores):,}",
            ("code", "commit"): side.code,
        }
        for side in sides
    ]
    keys = list(dict.fromkeys(key for each in described for key in each))
    rows = [(*key, *(each.get(key, ABSENT) for each in described)) for key in keys]
    return [row for row in rows if len(set(row[2:])) > 1]


def _compared_settings(side: Side) -> dict[str, str]:
    return {name: value for name, value in side.settings.items() if not name.startswith(NOT_COMPARED)}


def _as_json(each: Compared) -> dict[str, Any]:
    found = each.comparison
    return {
        "first": each.first,
        "second": each.second,
        "own_scans": list(each.own),
        "scans": found.scans,
        "patients": found.patients,
        "figures": {name: {**asdict(one), "is_real": one.is_real} for name, one in found.differences.items()},
        "mcnemar": {**asdict(found.mcnemar), "is_real": found.mcnemar.is_real},
    }
