"""`xray cross-validate` on a real Dask cluster of two processes: killed, given again, and on a real Prefect server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prefect import flow

from tasks.cross_validation import train_folds
from tests.system.conftest import OUTSIDE, PROJECT, processes_of
from xray.config import Request, Workspace, load_config
from xray.data.folds import cut
from xray.data.prepare import clean, normalize
from xray.errors import StoreError

SECONDS = 300
FOLDS = ["fold 0, seed 0", "fold 1, seed 0", "fold 2, seed 0"]
TASKS = ["clean", "normalize", "cut into folds", *FOLDS, "sum up"]
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


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables of a fresh user, and those that a test adds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    return kept | {"HOME": str(folder), "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "-1"} | more


def start(folder: Path, log: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own."""
    with (folder / log).open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=folder, env=environment(folder, **variables), stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def ended(folder: Path, log: str, *arguments: str, **variables: str) -> str:
    """Run the command to its end, and give what it printed."""
    with start(folder, log, *arguments, **variables) as child:
        code = child.wait(SECONDS)
    printed = (folder / log).read_text()
    assert code == 0, printed
    wait_for(lambda: not processes_of(child.pid), "no process is left")
    return printed


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with phantoms in it."""
    from xray.data.sources.phantoms import write_phantoms

    folder = tmp_path_factory.mktemp("cross-validate")
    write_phantoms(folder / "phantoms", scans=120, seed=0, size=(64, 64))
    return folder


@pytest.fixture(scope="module")
def killed(folder: Path) -> dict[Path, int]:
    """The folds that were finished when a cross-validation on two processes was killed with -9."""
    home = folder / "home"
    with start(folder, "killed", *COMMAND, "--home", "home", "--dask", "local") as child:
        try:
            wait_for(lambda: finished(home) or child.poll() is not None, "a fold is finished")
            assert child.poll() is None, (folder / "killed").read_text()
            started = workers(child.pid)
            assert len(started) == 2
            child.send_signal(signal.SIGKILL)
            child.wait(SECONDS)
            wait_for(lambda: not any(map(psutil.Process.is_running, started)), "workers end with their flow")
        finally:
            if processes_of(child.pid):  # Prefect's temporary server outlives a kill
                os.killpg(child.pid, signal.SIGKILL)
    return finished(home)


@pytest.fixture(scope="module")
def again(folder: Path, killed: dict[Path, int]) -> str:
    return ended(folder, "again", *COMMAND, "--home", "home")


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
def prefect(folder: Path) -> Iterator[str]:
    """The address of a real Prefect server with one training turn."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"PREFECT_HOME": str(folder / "server"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    address = f"http://127.0.0.1:{port}/api"
    with (folder / "server-log").open("wb") as log:
        child = subprocess.Popen(
            command, env=environment(folder, **variables), stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: answers(f"{address}/health"), (folder / "server-log").read_text())
        httpx.post(f"{address}/v2/concurrency_limits/", json={"name": "training", "limit": 1}).raise_for_status()
        yield address
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def beside(folder: Path, prefect: str) -> list[Mapping[str, Any]]:
    """The task runs that the server knows, after folds were trained beside each other."""
    ended(folder, "beside", *COMMAND, "--home", "other", "--dask", "local", PREFECT_API_URL=prefect)
    runs: list[Mapping[str, Any]] = []

    def are_over() -> bool:
        runs[:] = httpx.post(f"{prefect}/task_runs/filter", json={}).json()
        return len(runs) == len(TASKS) and all(run["state_type"] == "COMPLETED" for run in runs)

    wait_for(are_over, str(runs))
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


def test_where_one_fold_fails_the_others_are_waited_for(folder: Path, tmp_path: Path, prefect_server: None) -> None:
    config, workspace = load_config("quick", SETTINGS), Workspace(home=tmp_path)
    cleaned = clean(folder / "phantoms", workspace)
    folds = cut(cleaned, normalize(cleaned, config, workspace).store, config, workspace)[:2]
    folds[0] = replace(folds[0], pixels=tmp_path / "nowhere")

    @flow(persist_result=False)
    def learn() -> None:
        train_folds(folds, Request(data=folder, home=tmp_path, config=config), None, "local")

    with pytest.raises(StoreError, match="nowhere"):
        learn()
    assert len(list(workspace.trainings.glob("*/evaluation-*/manifest.json"))) == 1
