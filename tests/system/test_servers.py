"""`xray up`, as a person meets it: a schedule that makes runs, a worker that completes them, one Ctrl-C for all."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

from tests.system.conftest import PROJECT, Command, Ended
from tests.system.started import Prefect, Started, credentials, free_ports, settings_of, signed_in, started
from tests.system.waiting import until
from xray.password import password_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SMALL = {
    "recipe": "quick",
    "images": {"height": 32, "width": 32},
    "training": {"epochs": 2},
    "evaluation": {"bootstrap_draws": 100},
    "registry": {"model_name": "on-phantoms"},
}


@dataclass(frozen=True)
class Up:
    """An `xray up` that answers."""

    process: Started
    home: Path
    prefect_address: str
    mlflow_address: str

    @property
    def prefect(self) -> Prefect:
        return Prefect(self.prefect_address, self.home)


def shortened(folder: Path) -> Path:
    """The project's own deployments, with an interval for the cron of the first, and a tiny recipe."""
    whole = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    first = whole["deployments"][0]
    first["schedules"] = [{"interval": 15}]
    first["parameters"]["request"]["config"] = SMALL
    path = folder / "deployments.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


def marked_processes() -> list[psutil.Process]:
    """Every process that some `xray up` of this test's folder has started, whatever has become of its session."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("XRAY_TEST") == str(os.getpid()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


@pytest.fixture(scope="module")
def up(xray: Command) -> Iterator[Up]:
    home = xray.folder / "home"
    assert xray("phantom", "home/data/scans", "--scans", "120", "--size", "64x64").code == 0
    prefect, mlflow = free_ports(2)
    command = ["-m", "flows.cli", "up", "--home", "home", "--prefect-port", str(prefect), "--mlflow-port", str(mlflow)]
    command += ["--deployments", str(shortened(xray.folder))]
    settings = settings_of(xray.user, XRAY_TEST=str(os.getpid()))
    with started(xray.folder, "up", command, settings) as process:
        until(lambda: process.said("Ctrl-C ends"), "xray up says that all is well", 400)
        yield Up(process, home, f"http://127.0.0.1:{prefect}", f"http://127.0.0.1:{mlflow}")
        for left in marked_processes():
            left.kill()


@pytest.fixture(scope="module")
def completed(up: Up) -> dict[str, Any]:
    """The first run that the scheduler made and the worker completed; no later one takes the machine from the tests."""
    until(lambda: up.prefect.runs("Running"), "the scheduler has made a run and the worker has begun it")
    up.prefect.pause("pipeline/weekly")
    return until(lambda: next(iter(up.prefect.runs("Completed", "Failed", "Crashed")), None), "a run has ended")


@pytest.fixture(scope="module")
def predicted(up: Up, completed: dict[str, Any], xray: Command) -> Ended:
    """The registered model on a file, with the servers."""
    return predict(up, xray)


def predict(up: Up, xray: Command) -> Ended:
    scan = next((up.home / "data" / "scans" / "test").iterdir())
    return xray("predict", str(scan), "--home", "home", "--model", "models:/on-phantoms/1", "--json")


def test_it_prints_both_addresses_and_nothing_but_our_lines(up: Up) -> None:
    lines = up.process.log.read_text().splitlines()
    first = ["Starting", "MLflow", "Prefect", "password", "In", "export", "export", "Ctrl-C"]
    assert [line.split()[0] for line in lines] == first
    assert up.mlflow_address in lines[1]
    assert up.prefect_address in lines[2]
    assert str(password_file(up.home)) in lines[3]


def test_the_lines_that_it_prints_let_prefects_own_commands_in(up: Up, xray: Command) -> None:
    exports = [line.strip() for line in up.process.log.read_text().splitlines() if line.startswith("  export")]
    script = "\n".join([*exports, f"{shlex.quote(sys.executable)} -m prefect deployment ls"])
    shell = subprocess.run(
        ["bash", "-euc", script], cwd=xray.folder, env=settings_of(xray.folder / "other-user"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shell.returncode == 0, shell.stderr
    assert "promote/on-demand" in shell.stdout


def test_the_password_stands_in_its_file_and_nowhere_else(up: Up, completed: dict[str, Any]) -> None:
    _, password = credentials(up.home)
    wanted = password.encode()
    files = [path for path in [*up.home.rglob("*"), up.process.log] if path.is_file()]
    assert [path for path in files if wanted in path.read_bytes()] == [password_file(up.home)]
    assert [each.cmdline() for each in marked_processes() if password in " ".join(each.cmdline())] == []


def test_the_deployments_are_there_with_their_schedules(up: Up) -> None:
    found = up.prefect.deployments()
    assert {name: len(each["schedules"]) for name, each in found.items()} == {
        "pipeline/weekly": 1, "score/nightly": 1, "cross-validate/monthly": 1,
        "evaluate/on-demand": 0, "promote/on-demand": 0, "rollback/on-demand": 0,
    }  # fmt: skip
    assert {each["work_pool_name"] for each in found.values()} == {"xray"}


def test_a_silent_run_is_watched_for_and_nobody_is_told_of_failures(up: Up) -> None:
    found = [automation["name"] for automation in up.prefect.ask("automations/filter")]
    assert found == ["Mark a run without heartbeat as Crashed"]


def test_the_scheduler_makes_runs_and_the_worker_completes_one(up: Up, completed: dict[str, Any]) -> None:
    assert completed["state_name"] == "Completed", completed["state"]
    assert completed["auto_scheduled"]
    assert completed["deployment_id"] == up.prefect.deployments()["pipeline/weekly"]["id"]


def test_prefect_shows_our_own_lines_of_the_run(up: Up, completed: dict[str, Any]) -> None:
    only = {"flow_run_id": {"any_": [completed["id"]]}}
    lines = until(
        lambda: [line["message"] for line in up.prefect.ask("logs/filter", logs=only) if line["name"][:5] == "xray."],
        "log lines of xray",
    )
    assert any(line.startswith("epoch 1/2") for line in lines)


def test_run_figures_and_version_are_in_mlflow_over_http(up: Up, completed: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    with signed_in(up.home):
        check_over_http(MlflowClient(up.mlflow_address, up.mlflow_address), completed)


def check_over_http(client: "MlflowClient", completed: dict[str, Any]) -> None:
    (version,) = client.search_model_versions("name = 'on-phantoms'")
    run = client.get_run(str(version.run_id))
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert run.data.tags["prefect_flow_run"] == completed["id"]
    assert 0 <= run.data.metrics["test.auc"] <= 1
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2]
    plots = [each.path for each in client.list_artifacts(run.info.run_id, "figures")]
    assert plots
    assert all(path.endswith(".png") for path in plots)


def test_other_commands_of_the_home_use_the_servers_by_themselves(up: Up, predicted: Ended, xray: Command) -> None:
    assert predicted.code == 0, predicted.err
    assert json.loads(predicted.out)[0]["error"] is None
    shown = xray("ui", "--home", "home")
    assert shown.code == 0
    assert shown.out.startswith(up.mlflow_address)


def test_given_again_it_says_what_runs_and_where(up: Up, xray: Command) -> None:
    again = xray("up", "--home", "home")
    assert (again.code, again.err) == (0, "")
    assert again.out.count("\n") == 1
    assert up.prefect_address in again.out
    assert up.mlflow_address in again.out


@pytest.mark.parametrize("option", ["--prefect-port", "--mlflow-port"])
def test_a_taken_port_is_said_in_one_line(option: str, up: Up, xray: Command) -> None:
    port = up.mlflow_address.rpartition(":")[2]
    refused = xray("up", "--home", "other", option, port)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"xray: {option} must be free. Received: {port} ")
    assert refused.err.count("\n") == 1


def test_ctrl_c_ends_a_run_that_is_under_way_and_leaves_no_process(up: Up) -> None:
    prefect, run = up.prefect, up.prefect.start("pipeline/weekly")
    tasks = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"name": {"any_": ["Running"]}}}}
    # Not as soon as the run is: Prefect's own start of a first task, interrupted, ends a run Failed and not Crashed.
    until(lambda: prefect.ask("task_runs/filter", **tasks), "a task of a run is under way")
    up.process.child.send_signal(signal.SIGINT)
    assert up.process.ended() == 0, up.process.log.read_text()
    assert [process.cmdline() for process in marked_processes()] == []
    with sqlite3.connect(up.home / ".prefect" / "prefect.db") as database:
        (state,) = database.execute(
            "select state_name from flow_run where replace(id, '-', '') = ?", [run.replace("-", "")]
        ).fetchone()
    assert state == "Crashed"


def test_without_the_servers_the_same_home_gives_the_same_score(up: Up, predicted: Ended, xray: Command) -> None:
    assert up.process.child.poll() is not None
    alone = predict(up, xray)
    assert alone.code == 0, alone.err
    assert json.loads(alone.out) == json.loads(predicted.out)


def test_a_server_that_dies_ends_all_and_is_named_with_its_last_lines(
    xray: Command, begin: Callable[[Path], None]
) -> None:
    begin(xray.folder / "broken")
    prefect, mlflow = free_ports(2)
    command = [
        "-m",
        "flows.cli",
        "up",
        "--home",
        "broken",
        "--prefect-port",
        str(prefect),
        "--mlflow-port",
        str(mlflow),
    ]
    settings = settings_of(xray.user, XRAY_TEST=str(os.getpid()), MLFLOW_TRACKING_URI="nonsense://store")
    with started(xray.folder, "broken", command, settings) as process:
        assert process.ended() == 1
        lines = process.log.read_text().splitlines()
    assert lines[1].startswith("xray: mlflow stopped, so all were stopped")
    assert "nonsense" in "".join(lines[2:])
    assert marked_processes() == []
