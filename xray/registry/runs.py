"""Which MLflow run a training folder has, and what that run is told of itself."""

import json
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from xray.errors import DamagedError, StoreError
from xray.files import read_json, set_aside, write_json
from xray.registry.store import Store

PROJECT = Path(__file__).parents[2]
RUN_FILE = "run.json"
KEY_TAG = "xray.training_key"
CHANGED_TAG = "xray.params_changed_later"
SET_ONCE = frozenset({"git_commit", "mlflow.source.git.commit", "prefect_flow_run"})
"""Tags that say where a run comes from: a later run that reuses it all has made nothing of it."""
PARAMS_A_BATCH = 100


@dataclass(frozen=True)
class DataSet:
    """The data set as a run's input.

    Attributes:
        name: What a person calls it.
        digest: Our own digest of the catalog, at most 36 characters.
        source: The folder or address it came from.
        schema: JSON-like: columns and their types.
        profile: JSON-like: counts.
    """

    name: str
    digest: str
    source: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFacts:
    """What a run is told of itself when it is opened.

    Attributes:
        experiment: MLflow experiment.
        name: The run's name in the UI.
        params: The flattened configuration. MLflow never changes a param: a later value goes into a tag.
        tags: Digests, recipe, git commit and the like; a None is left out.
        data: The run's input.
    """

    experiment: str
    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str | None]
    data: DataSet


def run_of(client: MlflowClient, store: Store, folder: Path, facts: RunFacts) -> str:
    """Open the run of a training folder, or the one that its `run.json` remembers, and give its id.

    A run that was deleted, or lies in another store, is made anew; one that failed or was killed is running again.

    Raises:
        StoreError: `run.json` cannot be read or written. One that is damaged is set aside.
        RegistryError: The experiment was deleted.
        MlflowException: The store cannot be reached.
    """
    experiment = store.experiment(client, facts.experiment)
    path = folder / RUN_FILE
    try:
        remembered = read_json(path) if path.exists() else {}
    except DamagedError as damage:
        set_aside(path, damage.reason, "its run is looked for by what it trains")
        remembered = _found_again(client, experiment, facts)
    key = str(remembered.get("key") or uuid.uuid4().hex)
    run = _find_run(client, experiment, key, remembered.get("run_id"))
    if run is None:
        # the key is on disk before the run exists, so that a kill in between leaves no run behind
        _remember(path, {"key": key, "run_id": None})
        run = client.create_run(experiment, tags={KEY_TAG: key}, run_name=facts.name)
    run_id = str(run.info.run_id)
    if remembered.get("run_id") != run_id:
        _remember(path, {"key": key, "run_id": run_id})
    if run.info.status in ("FAILED", "KILLED"):
        client.update_run(run_id, status="RUNNING")
    _describe(client, run, facts)
    return run_id


def git_commit(folder: Path = PROJECT) -> str | None:
    """Name the commit of the code in a folder, with `-dirty` where files differ from it; None without git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _find_run(client: MlflowClient, experiment: str, key: str, run_id: str | None) -> Run | None:
    if run_id is not None:
        try:
            run = client.get_run(run_id)
            if run.info.lifecycle_stage != "active":
                return None
            if run.info.experiment_id == experiment:
                return run
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    found = client.search_runs([experiment], filter_string=f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return found[0] if found else None


def _describe(client: MlflowClient, run: Run, facts: RunFacts) -> None:
    run_id, known = run.info.run_id, run.data.params
    params = {name: str(value) for name, value in facts.params.items()}
    new = [Param(name, value) for name, value in params.items() if name not in known]
    changed = {name: value for name, value in params.items() if known.get(name, value) != value}
    source = {"mlflow.source.name": "xray", "mlflow.source.git.commit": facts.tags.get("git_commit")}
    tags = {**source, **facts.tags, CHANGED_TAG: json.dumps(changed) if changed else None}
    tags = {name: value for name, value in tags.items() if not (name in SET_ONCE and name in run.data.tags)}
    for start in range(0, len(new), PARAMS_A_BATCH):
        client.log_batch(run_id, params=new[start : start + PARAMS_A_BATCH], synchronous=True)
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items() if value], synchronous=True)
    data = facts.data
    origin, schema, profile = (json.dumps(value) for value in ({"uri": data.source}, data.schema, data.profile))
    kind = "s3" if data.source.startswith("s3://") else "local"
    dataset = Dataset(data.name, data.digest, kind, origin, schema, profile)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _found_again(client: MlflowClient, experiment: str, facts: RunFacts) -> dict[str, Any]:
    """Give what a lost `run.json` said, by the training that a run's tag names; nothing where there is none."""
    training = facts.tags.get("training")
    words = f"tags.training = '{training}' AND tags.`{KEY_TAG}` != ''"
    found = client.search_runs([experiment], filter_string=words, max_results=1) if training else []
    return {"key": found[0].data.tags[KEY_TAG], "run_id": found[0].info.run_id} if found else {}


def _remember(path: Path, value: Mapping[str, Any]) -> None:
    try:
        write_json(path, value)
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error}") from error
