"""The MLflow run of a training folder, and its description."""

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

from xray.errors import DamagedError, StoreError, by_cause
from xray.files.checked_io import read_json, set_aside, write_json
from xray.tracking.owning_process import Owner
from xray.tracking.run_config import CHANGED_TAG, EVALUATION, settings_of
from xray.tracking.stale_runs import sweep
from xray.tracking.store import Store

PROJECT = Path(__file__).parents[2]
RUN_FILE = "run.json"
KEY_TAG = "xray.training_key"
TRAINING_RUN_TAG = "training_run"
"""Names the run that a training's first evaluation lies in, in the run of each further one."""

LOOK = "xray.look."
"""With the digests of scans and evaluation it is the tag of one look at them: when, and by which code."""

PARENT_TAG = "mlflow.parentRunId"
"""By this tag MLflow's UI shows a run below another one; a run has one."""

RELATIONS = frozenset({PARENT_TAG, "trial", "study"})
"""Tags that say what a run belongs to, which may still change once its figures are there."""

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
        params: The flattened configuration. MLflow never changes a param: until the run has its figures, a later value
            goes into a tag.
        tags: Digests, recipe, git commit and the like; a None is left out.
        data: The run's input.
        evaluation: Digest of the evaluation whose figures the run holds; None while there is none, or never will be.
    """

    experiment: str
    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str | None]
    data: DataSet
    evaluation: str | None = None


def run_of(client: MlflowClient, store: Store, folder: Path, facts: RunFacts) -> str:
    """Open the run of a training folder and an evaluation, or the one that is there, and give its id.

    The first evaluation lies in the training's own run, which `run.json` remembers; each other one has a run of its
    own, so that no figure is ever replaced by another. A run that was deleted, or lies in another store, is made anew;
    one that failed or was killed is running again.

    Raises:
        StoreError: `run.json` cannot be read or written. One that is damaged is set aside.
        RegistryError: The experiment was deleted.
        MlflowException: The store cannot be reached.
    """
    experiment = store.experiment(client, facts.experiment)
    sweep(client, experiment)
    path = folder / RUN_FILE
    try:
        remembered = read_json(path) if path.exists() else {}
    except DamagedError as damage:
        set_aside(path, damage.reason, "its run is searched by the training's digest")
        remembered = _found_again(client, experiment, facts)
    key = str(remembered.get("key") or uuid.uuid4().hex)
    own = _find_run(client, experiment, key, remembered.get("run_id"))
    run = _run_that_holds(client, own, experiment, key, facts)
    if run is None:
        # the key is on disk before the run exists, so that a kill in between leaves no run behind
        _remember(path, {"key": key, "run_id": None})
        tags = {KEY_TAG: key, **Owner.this().tags()}
        run = own = client.create_run(experiment, tags=tags, run_name=facts.name)
    own_id = None if own is None else str(own.info.run_id)
    if own_id is not None and remembered.get("run_id") != own_id:
        _remember(path, {"key": key, "run_id": own_id})
    run_id = str(run.info.run_id)
    if run.info.status in ("FAILED", "KILLED", "RUNNING"):
        for name, value in Owner.this().tags().items():
            client.set_tag(run_id, name, value)
    if run.info.status in ("FAILED", "KILLED"):
        client.update_run(run_id, status="RUNNING")
    _describe(client, run, facts)
    if facts.evaluation is not None and not _claim(client, run, facts.evaluation):
        return run_of(client, store, folder, facts)  # another evaluation was first
    return run_id


def evaluations_of(run: Run) -> set[str]:
    """Give the digests of the evaluations that a run has looked at TEST scans with."""
    return {name.rpartition(".")[2] for name in run.data.tags if name.startswith(LOOK)}


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
    return _with_key(client, experiment, key)


def _with_key(client: MlflowClient, experiment: str, key: str) -> Run | None:
    found = client.search_runs([experiment], filter_string=f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return found[0] if found else None


def _run_that_holds(client: MlflowClient, own: Run | None, experiment: str, key: str, facts: RunFacts) -> Run | None:
    """Choose the training's own run or another one's; None where the own one is still to be made."""
    evaluation = facts.evaluation
    if evaluation is None or (own is not None and own.data.params.get(EVALUATION) == evaluation):
        return own
    of_its_own = f"{key}.{evaluation}"
    found = _with_key(client, experiment, of_its_own)
    if found is not None or own is None:
        return found
    if _is_free(own, facts):
        return own
    tags = {KEY_TAG: of_its_own, TRAINING_RUN_TAG: own.info.run_id}
    return client.create_run(experiment, tags=tags, run_name=f"{facts.name}-{evaluation[:4]}")


def _is_free(own: Run, facts: RunFacts) -> bool:
    """Tell whether an evaluation may lie in a training's own run: one without figures, or with just these.

    Older versions of this file let every evaluation of a training write into its one run, and named none of them.
    """
    if EVALUATION in own.data.params:
        return False
    looks = evaluations_of(own)
    if looks:
        return looks == {facts.evaluation}
    if not any("test." in name for name in own.data.metrics):
        return True
    known = settings_of(own)
    evaluated = {name: str(value) for name, value in facts.params.items() if name.startswith("evaluation.")}
    return all(known.get(name) == value for name, value in evaluated.items())


def _claim(client: MlflowClient, run: Run, evaluation: str) -> bool:
    """Keep a run for an evaluation; MLflow writes a param once, so of two that try one is told no."""
    claimed = run.data.params.get(EVALUATION)
    if claimed is not None:
        return bool(claimed == evaluation)
    try:
        client.log_param(run.info.run_id, EVALUATION, evaluation)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        return False
    return True


def _describe(client: MlflowClient, run: Run, facts: RunFacts) -> None:
    """Tell a run what it is; one that has its figures was made of what it says already."""
    run_id, known = run.info.run_id, run.data.params
    is_whole = EVALUATION in known and run.info.status == "FINISHED"
    params = {name: str(value) for name, value in facts.params.items()}
    new = [Param(name, value) for name, value in params.items() if name not in known]
    for start in range(0, len(new), PARAMS_A_BATCH):
        client.log_batch(run_id, params=new[start : start + PARAMS_A_BATCH], synchronous=True)
    source = {"mlflow.source.name": "xray", "mlflow.source.git.commit": facts.tags.get("git_commit")}
    tags = {**source, **facts.tags}
    kept = {name for name in run.data.tags if name in SET_ONCE or (is_whole and name not in RELATIONS)}
    told = [RunTag(name, value) for name, value in tags.items() if value and name not in kept]
    client.log_batch(run_id, tags=told, synchronous=True)
    if is_whole:
        return
    _tell_changes(client, run, {name: value for name, value in params.items() if known.get(name, value) != value})
    data = facts.data
    origin, schema, profile = (json.dumps(value) for value in ({"uri": data.source}, data.schema, data.profile))
    kind = "s3" if data.source.startswith("s3://") else "local"
    dataset = Dataset(data.name, data.digest, kind, origin, schema, profile)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _tell_changes(client: MlflowClient, run: Run, changed: Mapping[str, str]) -> None:
    """Keep what a param cannot: the values that a run went on with, where they are others than it began with."""
    if changed:
        client.set_tag(run.info.run_id, CHANGED_TAG, json.dumps(changed))
    elif CHANGED_TAG in run.data.tags:
        client.delete_tag(run.info.run_id, CHANGED_TAG)


def _found_again(client: MlflowClient, experiment: str, facts: RunFacts) -> dict[str, Any]:
    """Give what a lost `run.json` said, by the training that a run's tag names; nothing where there is none."""
    training = facts.tags.get("training")
    found = client.search_runs([experiment], filter_string=f"tags.training = '{training}'") if training else []
    own = [run for run in found if KEY_TAG in run.data.tags and TRAINING_RUN_TAG not in run.data.tags]
    return {"key": own[0].data.tags[KEY_TAG], "run_id": own[0].info.run_id} if own else {}


def _remember(path: Path, value: Mapping[str, Any]) -> None:
    try:
        write_json(path, value)
    except OSError as error:
        raise by_cause(StoreError, f"{path} could not be written: {error}", error) from error
