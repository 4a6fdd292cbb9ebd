"""What goes away while a training runs, against real processes: the outcomes that docs/faults.md promises."""

import itertools
import json
import re
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from flows.servers.automations import SILENT_SECONDS
from flows.servers.environment import lasting_settings
from flows.servers.server_registry import CLIENT_PASSWORD, MLFLOW_PASSWORD, MLFLOW_USER, SERVER_PASSWORD
from tasks.training_slot import LEASE_SECONDS
from tests.system.conftest import PROJECT, Command
from tests.system.started import (
    Prefect,
    Started,
    answers,
    credentials,
    free_ports,
    settings_of,
    signed_in,
    started,
)
from tests.system.waiting import until
from xray.config import Request
from xray.data.catalog import Catalog
from xray.password import USER, made_password
from xray.training.training_digest import training_digest

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

EPOCHS = 60
"""Enough for servers that are away to be back before the training ends."""

FEW = 20
"""Enough to be cut off in the middle."""
SMALL = [
    "images.height=32",
    "images.width=32",
    f"training.epochs={EPOCHS}",
    "training.patience=0",
    "training.batch_size=16",
    "evaluation.bootstrap_draws=100",
    "registry.experiment=faults",
    "registry.model_name=on-phantoms",
]


@dataclass
class House:
    """Servers and a worker, each started by itself, so that each can be ended by itself."""

    folder: Path
    stack: ExitStack
    prefect_port: int
    mlflow_port: int
    settings: dict[str, str]
    processes: dict[str, Started]

    @property
    def prefect(self) -> Prefect:
        return Prefect(f"http://127.0.0.1:{self.prefect_port}", self.home)

    @property
    def mlflow_address(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    def start(self, name: str) -> None:
        """Start one of them, and wait until it answers; the worker, until it has said so."""
        home, prefect = self.folder / "home", f"http://127.0.0.1:{self.prefect_port}"
        command, ready = {
            "prefect": (
                ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.prefect_port)],
                lambda: answers(f"{prefect}/api/health"),
            ),
            "mlflow": (
                ["-m", "flows.cli", "ui", "--home", str(home), "--port", str(self.mlflow_port)],
                lambda: answers(f"{self.mlflow_address}/health"),
            ),
            "worker": (
                ["-m", "flows.servers.worker", str(home), prefect, self.mlflow_address, *self._files(), ""],
                lambda: self.processes["worker"].said("Worker 'xray' started"),
            ),
        }[name]
        used = (
            {}
            if name == "mlflow"
            else {"PREFECT_API_URL": f"{prefect}/api", "MLFLOW_TRACKING_URI": self.mlflow_address}
        )
        (self.folder / f"{name}.log").write_bytes(b"")
        self.processes[name] = self.stack.enter_context(started(self.folder, name, command, self.settings | used))
        until(ready, f"{name} is up")

    def _files(self) -> list[str]:
        return [str(self.folder / name) for name in ("worker.log", "deployments.yaml")]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def train(self, seed: int, epochs: int = EPOCHS) -> "Training":
        """Ask Prefect for a training, as its form in the UI does."""
        deployment = self.prefect.deployments()["pipeline/weekly"]
        request = deployment["parameters"]["request"]
        config = request["config"] | {"training": request["config"]["training"] | {"seed": seed, "epochs": epochs}}
        return Training(self, self.prefect.start("pipeline/weekly", {"request": request | {"config": config}}), seed)

    def runs_of_flows(self) -> list[psutil.Process]:
        """The processes of flow runs, which live in sessions of their own."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("XRAY_HOME") == str(self.folder / "home")
                if ours and any("prefect.engine" in word for word in process.cmdline()):
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found


@dataclass(frozen=True)
class Training:
    """A flow run that trains."""

    house: House
    id: str
    seed: int

    @property
    def state(self) -> str:
        return str(self.house.prefect.run(self.id)["state_name"])

    @property
    def message(self) -> str:
        return str(self.house.prefect.run(self.id)["state"]["message"])

    @cached_property
    def folder(self) -> Path:
        request = Request.model_validate(self.house.prefect.run(self.id)["parameters"]["request"])
        (catalog,) = (self.house.home / "data" / "prepared").iterdir()
        found = Catalog(catalog, catalog.name, request.data, True)
        return self.house.home / "data" / "trainings" / training_digest(found, request.config)

    @property
    def mlflow_run(self) -> str:
        return str(json.loads((self.folder / "run.json").read_text())["run_id"])

    def epochs(self) -> list[dict[str, Any]]:
        epochs: list[dict[str, Any]] = json.loads((self.folder / "history.json").read_text())["epochs"]
        return epochs

    def reach(self, epoch: int) -> None:
        """Wait until an epoch is on disk; older ones are gone by then."""

        def reached() -> bool:
            return any(int(one.name[6:]) >= epoch for one in self._written())

        until(reached, f"epoch {epoch}")

    def _written(self) -> list[Path]:
        prepared = any((self.house.home / "data" / "prepared").glob("*/manifest.json"))
        return [one for one in self.folder.glob("epoch-????") if one.is_dir()] if prepared else []

    def end(self, seconds: float = 240) -> None:
        """Wait until Prefect knows how it ended."""
        until(lambda: self.state in {"Completed", "Failed", "Crashed"}, "the run has ended", seconds)

    def said(self, words: str) -> bool:
        """Say whether Prefect's page shows a log line with these words."""
        only = {"flow_run_id": {"any_": [self.id]}}
        return any(words in line["message"] for line in self.house.prefect.ask("logs/filter", logs=only))


@pytest.fixture(scope="module")
def house(xray: Command, phantoms: Path, begin: Callable[[Path], None]) -> Iterator[House]:
    """Prefect's server, MLflow's server and a worker that has applied `prefect.yaml`, with a small recipe."""
    home = xray.folder / "home"
    (home / "mlruns").mkdir(parents=True)
    begin(home)
    whole = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    whole["deployments"] = whole["deployments"][:1]
    del whole["deployments"][0]["schedules"]
    config = {"recipe": "quick"}
    whole["deployments"][0]["parameters"]["request"] = {"data": str(phantoms), "config": config | nested(SMALL)}
    (xray.folder / "deployments.yaml").write_text(yaml.safe_dump(whole))
    # One more try of a call in place of three, so that a server that is gone for good is given up sooner.
    password = made_password(home)
    own = {"XRAY_HOME": str(home), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", MLFLOW_USER: USER, MLFLOW_PASSWORD: password}
    closed = {SERVER_PASSWORD: password, CLIENT_PASSWORD: password}
    settings = settings_of(xray.user, **lasting_settings(home) | own | closed)
    with ExitStack() as stack:
        prefect, mlflow = free_ports(2)
        house = House(xray.folder, stack, prefect, mlflow, settings, {})
        for name in ("prefect", "mlflow", "worker"):
            house.start(name)
        yield house
        for run in house.runs_of_flows():
            run.kill()


def nested(settings: list[str]) -> dict[str, dict[str, Any]]:
    """Settings of the command as a form of Prefect's sends them."""
    sections: dict[str, dict[str, Any]] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = int(value) if value.isdecimal() else value
    return sections


def sent(house: House, run_id: str) -> list[int]:
    """The steps of a figure, as MLflow has them."""
    from mlflow import MlflowClient

    with signed_in(house.home):
        client = MlflowClient(house.mlflow_address, house.mlflow_address)
        return [metric.step for metric in client.get_metric_history(run_id, "val_loss")]


def longest_pause(epochs: list[dict[str, Any]]) -> float:
    """The most seconds between the ends of two epochs."""
    ends = [epoch["ended_ms"] for epoch in epochs]
    return max(later - earlier for earlier, later in itertools.pairwise(ends)) / 1000


@pytest.fixture(scope="module")
def outage(house: House) -> Training:
    training = house.train(seed=1)
    training.reach(3)
    house.processes["mlflow"].kill()
    training.reach(15)
    house.start("mlflow")
    training.end()
    return training


class TestMlflowStoppedAndBack:
    def test_the_run_completes(self, outage: Training) -> None:
        assert outage.state == "Completed", outage.message

    def test_training_goes_on_without_waiting(self, outage: Training) -> None:
        assert longest_pause(outage.epochs()) < 10

    def test_no_metric_is_lost_or_sent_twice(self, outage: Training, house: House) -> None:
        assert sorted(sent(house, outage.mlflow_run)) == list(range(1, EPOCHS + 1))


@pytest.fixture(scope="module")
def restart(house: House) -> Training:
    training = house.train(seed=2)
    training.reach(3)
    house.processes["prefect"].kill()
    with closing(sqlite3.connect(house.home / "mlruns" / "mlflow.db", timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(8)
        other.rollback()
    house.start("prefect")
    training.end()
    return training


class TestDatabaseLockedAndPrefectRestarted:
    def test_no_metric_is_lost_or_sent_twice(self, restart: Training, house: House) -> None:
        assert sorted(sent(house, restart.mlflow_run)) == list(range(1, EPOCHS + 1))

    def test_the_run_is_completed_or_honestly_crashed(self, restart: Training) -> None:
        assert restart.state in {"Completed", "Crashed"}, restart.message

    def test_run_again_it_has_nothing_left_to_do_or_goes_on(self, restart: Training, house: House) -> None:
        again = house.train(seed=2)
        again.end()
        assert again.state == "Completed", again.message
        assert again.mlflow_run == restart.mlflow_run


@pytest.fixture(scope="module")
def killed(house: House) -> Training:
    training = house.train(seed=3, epochs=FEW)
    training.reach(5)
    for process in house.runs_of_flows():
        process.kill()
    return training


@pytest.fixture(scope="module")
def killed_with_its_worker(killed: Training, house: House) -> Training:
    until(lambda: killed.state == "Crashed", "the worker tells of the end")
    second = house.train(seed=3, epochs=FEW)
    until(lambda: second.state == "Running", "the second run is under way")
    until(lambda: second.said("Another training is running"), "it waits for the turn that a dead training holds")
    house.processes["worker"].kill()
    for process in house.runs_of_flows():
        process.kill()
    return second


class TestKilled:
    """Training and worker, with -9."""

    def test_a_training_whose_worker_lives_is_crashed_at_once(self, killed: Training) -> None:
        until(lambda: killed.state == "Crashed", "the worker tells of the end", seconds=60)

    def test_one_whose_worker_died_too_is_crashed_for_want_of_signs_of_life(
        self, killed_with_its_worker: Training
    ) -> None:
        assert killed_with_its_worker.state == "Running"
        until(lambda: killed_with_its_worker.state == "Crashed", "it is marked Crashed", seconds=SILENT_SECONDS + 90)
        assert "No heartbeat" in killed_with_its_worker.message

    def test_the_next_one_gets_its_turn_and_resumes(
        self, killed: Training, killed_with_its_worker: Training, house: House
    ) -> None:
        house.start("worker")
        third = house.train(seed=3, epochs=FEW)
        third.end(seconds=LEASE_SECONDS + 180)
        assert third.state == "Completed", third.message
        assert third.said("training continues after epoch")
        assert sorted(sent(house, third.mlflow_run)) == list(range(1, FEW + 1))


@pytest.fixture(scope="module")
def gone(house: House) -> Training:
    training = house.train(seed=4, epochs=FEW)
    training.reach(3)
    house.processes["mlflow"].kill()
    training.end()
    return training


class TestMlflowGoneForGood:
    def test_the_run_fails_after_training_with_the_model_safe(self, gone: Training) -> None:
        assert gone.state == "Failed", gone.message
        assert (gone.folder / "model.keras").is_file()
        assert str(gone.folder) in gone.message

    def test_its_message_is_one_line(self, gone: Training) -> None:
        assert gone.message.startswith("tracking store http://127.0.0.1:")
        assert "\n" not in gone.message

    def test_the_command_that_it_names_registers_the_model(self, gone: Training, house: House, xray: Command) -> None:
        found = re.search(r"to register it later: xray (.*)", gone.message)
        assert found is not None
        alone = xray(*shlex.split(found[1]))
        assert alone.code == 0, alone.err
        assert "epoch" not in alone.out.split("quick, on TEST")[0]
        assert "models:/on-phantoms/" in alone.out


class TestClosedToOthers:
    def test_mlflow_refuses_a_foreign_host_and_a_foreign_origin(self, house: House) -> None:
        if not answers(f"{house.mlflow_address}/health"):
            house.start("mlflow")
        search, body = f"{house.mlflow_address}/api/2.0/mlflow/experiments/search", {"max_results": 1}
        who = credentials(house.home)
        assert httpx.post(search, json=body).status_code == 401
        assert httpx.post(search, json=body, auth=who).status_code == 200
        assert httpx.post(search, json=body, auth=who, headers={"Host": "evil.example"}).status_code == 403
        for origin in ("http://evil.example", "http://127.0.0.1:1"):
            assert httpx.post(search, json=body, auth=who, headers={"Origin": origin}).status_code == 403

    @pytest.mark.parametrize("name", ["prefect", "mlflow"])
    def test_it_listens_on_loopback_alone(self, name: str, house: House) -> None:
        port = {"prefect": house.prefect_port, "mlflow": house.mlflow_port}[name]
        listening = {
            connection.laddr.ip
            for connection in psutil.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        }
        assert listening == {"127.0.0.1"}
