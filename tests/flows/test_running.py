"""How commands of a home find the servers that `xray up` runs there."""

import os
from pathlib import Path

import pytest

from flows.environment import settle
from flows.running import Running, announce, only_one, running

SERVERS = Running("http://127.0.0.1:4201", "http://127.0.0.1:5001")


def test_where_nothing_runs_there_is_nothing_and_nothing_is_made(tmp_path: Path) -> None:
    assert running(tmp_path / "home") is None
    assert list(tmp_path.iterdir()) == []


def test_servers_are_found_once_they_are_announced_and_no_longer_than_they_run(tmp_path: Path) -> None:
    with only_one(tmp_path) as alone:
        assert alone
        assert running(tmp_path) is None
        announce(tmp_path, SERVERS)
        assert running(tmp_path) == SERVERS
    assert running(tmp_path) is None


def test_there_is_one_for_a_home(tmp_path: Path) -> None:
    with only_one(tmp_path):
        announce(tmp_path, SERVERS)
        with only_one(tmp_path) as alone:
            assert not alone
        assert running(tmp_path) == SERVERS


def test_an_announcement_that_outlived_its_servers_is_not_believed(tmp_path: Path) -> None:
    with only_one(tmp_path):
        announce(tmp_path, SERVERS)
        left = (tmp_path / ".prefect" / "servers.json").read_bytes()
    (tmp_path / ".prefect" / "servers.json").write_bytes(left)  # as after kill -9
    assert running(tmp_path) is None
    with only_one(tmp_path):
        assert running(tmp_path) is None


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in SERVERS.variables():
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
        monkeypatch.delenv(name)
    return monkeypatch


def test_a_command_of_the_home_uses_them(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    with only_one(tmp_path):
        announce(tmp_path, SERVERS)
        settle(tmp_path, trains=False)
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4201/api"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5001"


def test_what_the_user_has_named_wins(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    unset.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    with only_one(tmp_path):
        announce(tmp_path, SERVERS)
        settle(tmp_path, trains=False)
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://elsewhere"
