"""The registry's moves as commands, and two at once over HTTP."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from flows.servers.server_registry import MLFLOW_PASSWORD, MLFLOW_USER
from tests.system.conftest import Command
from tests.system.started import answers, credentials, free_ports
from tests.system.typed import Documented
from tests.system.waiting import until
from tests.xray.promotion.contenders import NAME, prejudiced
from tests.xray.promotion.promoters import NAME as EMPTY
from tests.xray.promotion.promoters import carried_out, plan, with_versions
from xray.config import Workspace
from xray.promotion.decision_log import DecisionLog
from xray.promotion.decision_record import PROMOTED, WITHDRAWN
from xray.tracking.store import ui_command

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def xray(alone: Command, prefect_url: str) -> Command:
    """The command, told of a Prefect server: what it starts where there is none is another file's matter."""
    return alone.at(prefect_url)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, phantoms: Path) -> Workspace:
    """Two versions that every floor refuses."""
    return prejudiced(tmp_path_factory.mktemp("promoting"), phantoms)


def test_models_promote_history_and_rollback(xray: Command, home: Workspace, documented: Documented) -> None:
    where = ("--home", str(home.home), "--model-name", NAME)
    models, promote, named, rollback, history, strict, force = map(documented.words, documented)
    assert xray(*strict, *where).code == 1
    refused = xray(*promote, *where)
    assert refused.code == 1, refused
    assert "specificity must be at least 0.5" in refused.out and "test-set evaluation 2" in refused.out
    assert f"{NAME} version 2 refused: specificity must be at least 0.5. Received: 0.000" in refused.out
    policy = ("--set", "promotion.min_specificity=0", "--set", "promotion.max_calibration_error=1")
    promoted = xray(*_version(named, "1"), *policy, *where)
    assert promoted.code == 0, promoted
    assert f"{NAME} version 1 promoted: every rule of the policy passes" in promoted.out
    forced = xray(*_version(force, "2"), *where)
    assert forced.code == 0 and f"{force[-1]} (forced; specificity must be at least 0.5" in forced.out, forced
    listed = json.loads(xray(*models, "--json", *where).out)
    assert [(each["version"], each["aliases"], each["verdict"]) for each in listed] == [
        ("2", ["champion"], "promoted"), ("1", [], "promoted"),
    ]  # fmt: skip
    returned = xray(*rollback, *where)
    assert returned.code == 0 and f"{NAME} version 1 returned: {rollback[-1]}" in returned.out
    again = xray("rollback", *where)
    assert (
        again.code == 2
        and again.err.endswith("Received: version 1, which is the first\n")
        and again.err.count("\n") == 1
    )
    told = json.loads(xray(*history, "--json", *where).out)
    assert [(each["verdict"], each["before"], each["after"]) for each in told] == [
        ("returned", "2", "1"), ("promoted", "1", "2"), ("promoted", None, "1"), ("refused", None, "2"),
        ("refused", None, "2"),
    ]  # fmt: skip
    assert [each["metrics"].get("looks") for each in told] == [None, 4, 3, 2, 1]
    table = xray(*history, *where)
    assert table.code == 0 and rollback[-1] in table.out


def _version(words: list[str], number: str) -> list[str]:
    """Name one of the versions that are there in the place of the page's third."""
    return [number if word == "3" else word for word in words]


def test_two_promotions_at_once_through_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    workspace = Workspace(home=tmp_path / "home")
    workspace.mlruns.mkdir(parents=True)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(ui_command(workspace, port), stdout=log, stderr=log, start_new_session=True)
    try:
        until(
            lambda: server.poll() is not None or answers(f"http://127.0.0.1:{port}/health"), "MLflow's server answers"
        )
        assert server.poll() is None, (tmp_path / "log").read_text()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        for name, value in zip((MLFLOW_USER, MLFLOW_PASSWORD), credentials(workspace.home), strict=True):
            monkeypatch.setenv(name, value)
        with_versions(workspace)
        gate = str(tmp_path / "gate")
        assert carried_out([plan(workspace, version, gate=gate) for version in ("1", "2", "3")]) == [0, 0, 0]
        decision_log = DecisionLog(workspace, EMPTY)
        records = decision_log.records()
        assert sorted(str(record.verdict) for record in records) == [PROMOTED, WITHDRAWN, WITHDRAWN]
        (won,) = [record for record in records if record.verdict == PROMOTED]
        assert decision_log.champion() == won.draft.after
        next_one = "1" if won.draft.after != "1" else "2"
        kill = ("set_registered_model_alias", "after")
        assert carried_out([plan(workspace, next_one, before=won.draft.after, number=2, kill=kill)]) == [-9]
        assert carried_out([plan(workspace, None)]) == [0]
        assert (decision_log.records()[-1].verdict, decision_log.champion()) == (PROMOTED, next_one)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
