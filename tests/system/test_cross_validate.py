"""`xray cross-validate` on a real Dask cluster of two processes: killed, given again, and on a real Prefect server."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.cross_validation import train_folds
from tests.system.conftest import Command
from tests.system.started import CLIENT, answers, free_ports, settings_of, started
from tests.system.waiting import until
from xray.config import Request, Workspace, load_config
from xray.data.folds import cut
from xray.data.prepare import clean, normalize
from xray.errors import StoreError

SECONDS = 300
PATIENCE = 60.0
FOLDS = ["fold 0, seed 0", "fold 1, seed 0", "fold 2, seed 0"]
TASKS = ["clean", "normalize", "split into folds", *FOLDS, "summarize"]
SETTINGS = [
    "images.height=32",
    "images.width=32",
    "split.folds=3",
    "training.epochs=6",
    "training.patience=0",
    "training.precision=float32",
    "evaluation.bootstrap_draws=100",
    "registry.experiment=folds",
]
COMMAND = ["cross-validate", "phantoms", "--recipe", "quick"]
COMMAND += [part for setting in SETTINGS for part in ("--set", setting)]

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


def ended(xray: Command, *arguments: str) -> str:
    """Give the command, which ends well and leaves no process, and give what it printed."""
    ended = xray(*arguments, patience=PATIENCE)
    assert (ended.code, ended.left) == (0, []), ended
    return ended.out + ended.err


def workers(flow: int) -> list[psutil.Process]:
    """The Dask workers that a flow's process has started."""
    return [child for child in psutil.Process(flow).children() if "spawn_main" in " ".join(child.cmdline())]


def finished(home: Path) -> dict[Path, int]:
    """The networks of finished trainings, with the time that each was written."""
    folders = [path.parent for path in home.glob("data/trainings/*/manifest.json")]
    return {folder / "model.keras": (folder / "model.keras").stat().st_mtime_ns for folder in folders}


def runs_of(home: Path) -> tuple[Any, list[Any]]:
    """The parent run and its children."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("folds")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags.get("kind") == "cross-validation"]
    return parent, [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


@pytest.fixture(scope="module")
def folder(alone: Command) -> Path:
    """The command's folder, with phantoms in it."""
    from xray.data.phantoms.write_phantoms import write_phantoms

    write_phantoms(alone.folder / "phantoms", scans=120, seed=0, size=(64, 64))
    return alone.folder


@pytest.fixture(scope="module")
def killed(folder: Path, alone: Command, prefect_url: str) -> dict[Path, int]:
    """The folds that were finished when a cross-validation on two processes was killed with -9."""
    home = folder / "home"
    with alone.at(prefect_url).start("killed", *COMMAND, "--home", "home", "--dask", "local") as run:
        until(lambda: run.alive() and finished(home), "a fold is finished", SECONDS, every=0.05)
        started = workers(run.child.pid)
        assert len(started) == 2
        run.child.kill()
        run.child.wait(SECONDS)
        until(lambda: not any(map(psutil.Process.is_running, started)), "workers end with their flow", SECONDS)
    return finished(home)


@pytest.fixture(scope="module")
def again(folder: Path, alone: Command, killed: dict[Path, int], begin: Callable[[Path], None]) -> str:
    begin(folder / "home")
    return ended(alone, *COMMAND, "--home", "home")


def test_given_again_it_trains_no_finished_fold_again(folder: Path, killed: dict[Path, int], again: str) -> None:
    assert 1 <= len(killed) < 3
    assert again.count("  train: ") <= 3 - len(killed)
    after = finished(folder / "home")
    assert len(after) == 3
    assert {model: after[model] for model in killed} == killed


def test_killed_and_given_again_it_has_one_parent_run_with_every_fold_below(folder: Path, again: str) -> None:
    parent, children = runs_of(folder / "home")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_id in again
    assert sorted(run.data.params["split.validation_fold"] for run in children) == ["0", "1", "2"]
    assert {run.info.status for run in children} == {"FINISHED"}


@pytest.fixture(scope="module")
def prefect(folder: Path, begin: Callable[[Path], None]) -> Iterator[str]:
    """The address of a real Prefect server with one training turn, which no other test uses."""
    (port,) = free_ports(1)
    begin(folder / "server")
    variables = {"PREFECT_HOME": str(folder / "server" / ".prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    address = f"http://127.0.0.1:{port}/api"
    with started(folder, "server", command, settings_of(folder / "user", **variables)) as server:
        until(lambda: server.alive() and answers(f"{address}/health"), "Prefect's server answers")
        CLIENT.post(f"{address}/v2/concurrency_limits/", json={"name": "training", "limit": 1}).raise_for_status()
        yield address


@pytest.fixture(scope="module")
def beside(alone: Command, prefect: str) -> list[Mapping[str, Any]]:
    """The task runs that the server knows, after folds were trained beside each other."""
    ended(alone.at(prefect), *COMMAND, "--home", "other", "--dask", "local")
    runs: list[Mapping[str, Any]] = []

    def are_over() -> bool:
        runs[:] = CLIENT.post(f"{prefect}/task_runs/filter", json={}).json()
        return len(runs) == len(TASKS) and all(run["state_type"] == "COMPLETED" for run in runs)

    until(are_over, "all task runs are over", SECONDS)
    return runs


def test_workers_report_to_the_server_that_the_flow_has(folder: Path, beside: list[Mapping[str, Any]]) -> None:
    names = sorted(run["name"] for run in beside if run["name"].startswith("fold"))
    assert names == FOLDS
    assert len({run["flow_run_id"] for run in beside}) == 1
    assert not (folder / "other" / ".prefect" / "prefect.db").exists()


def test_with_one_training_turn_a_clusters_folds_still_train_beside_each_other(
    beside: list[Mapping[str, Any]],
) -> None:
    folds = sorted((run["start_time"], run["end_time"]) for run in beside if run["name"].startswith("fold"))
    assert folds[1][0] < folds[0][1]


def test_a_cluster_ends_with_the_figures_of_one_process(
    folder: Path, again: str, beside: list[Mapping[str, Any]]
) -> None:
    here, there = (runs_of(folder / home)[0].data.metrics for home in ("home", "other"))
    assert here.keys() == there.keys()
    for name in ("test.auc", "validation.auc_sd", "out_of_fold.auc", "out_of_fold.brier"):
        assert here[name] == pytest.approx(there[name], abs=1e-3)


def test_where_one_fold_fails_the_others_are_waited_for(folder: Path, tmp_path: Path, prefect_url: str) -> None:
    config, workspace = load_config("quick", SETTINGS), Workspace(home=tmp_path)
    cleaned = clean(folder / "phantoms", workspace)
    folds = cut(cleaned, normalize(cleaned, config, workspace).store, config, workspace)[:2]
    folds[0] = replace(folds[0], pixels=tmp_path / "nowhere")

    @flow(persist_result=False)
    def learn() -> None:
        train_folds(folds, Request(data=folder, home=tmp_path, config=config), None, "local")

    with temporary_settings({PREFECT_API_URL: prefect_url}), pytest.raises(StoreError, match="nowhere"):
        learn()
    assert len(list(workspace.trainings.glob("*/evaluation-*/manifest.json"))) == 1
