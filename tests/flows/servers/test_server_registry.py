"""How commands of a home find the servers that `xray up` runs there."""

import os
import subprocess
from pathlib import Path

import pytest

from flows.servers.environment import settle
from flows.servers.server_registry import (
    Running,
    access,
    announce,
    only_one,
    open_to_others,
    running,
    secrets_of,
    shell_access,
)
from xray.password import made_password

PASSWORDS = ("PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
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
    for name in (*SERVERS.variables(), *PASSWORDS):
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


class TestPassword:
    def test_it_goes_with_the_homes_own_servers_and_to_no_others(self, tmp_path: Path) -> None:
        password = made_password(tmp_path)
        assert secrets_of(tmp_path, SERVERS, SERVERS.variables()) == {
            "PREFECT_API_AUTH_STRING": password,
            "MLFLOW_TRACKING_USERNAME": "xray",
            "MLFLOW_TRACKING_PASSWORD": password,
        }
        elsewhere = {"PREFECT_API_URL": "https://elsewhere/api", "MLFLOW_TRACKING_URI": "https://elsewhere"}
        assert secrets_of(tmp_path, SERVERS, elsewhere) == {}
        assert secrets_of(tmp_path, SERVERS, {}) == {}

    def test_a_command_of_the_home_has_it(self, tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
        password = made_password(tmp_path)
        with only_one(tmp_path):
            announce(tmp_path, SERVERS)
            settle(tmp_path, trains=False)
        assert [os.environ[name] for name in PASSWORDS] == [password, "xray", password]

    def test_a_server_that_the_user_named_is_not_given_it(self, tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
        unset.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
        made_password(tmp_path)
        with only_one(tmp_path):
            announce(tmp_path, SERVERS)
            settle(tmp_path, trains=False)
        assert "MLFLOW_TRACKING_PASSWORD" not in os.environ

    def test_no_line_for_a_person_and_no_announcement_has_it(self, tmp_path: Path) -> None:
        home = tmp_path / "a home's"
        secret = made_password(home).partition(":")[2]
        with only_one(home):
            announce(home, SERVERS)
            lines = [access(home), *shell_access(home, SERVERS), (home / ".prefect" / "servers.json").read_text()]
        assert secret not in "".join(lines)

    def test_the_lines_to_type_say_it_to_a_shell(self, tmp_path: Path) -> None:
        home = tmp_path / "a home's"
        password = made_password(home)
        script = "\n".join(
            [*shell_access(home, SERVERS), 'printf "%s %s" "$PREFECT_API_URL" "$PREFECT_API_AUTH_STRING"']
        )
        said = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True).stdout
        assert said == f"{SERVERS.prefect}/api {password}"


def test_folders_that_others_can_look_into_are_named(tmp_path: Path) -> None:
    for name, mode in (("data", 0o755), ("mlruns", 0o700), (".prefect", 0o710)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    assert open_to_others(tmp_path) == [str(tmp_path / "data"), str(tmp_path / ".prefect")]
