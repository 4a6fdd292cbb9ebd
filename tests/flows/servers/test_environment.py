"""A command's process: the user's own settings win, and a training starts its process once more, once."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.servers.environment import TRAINING_MEMORY, quiet_settings, served, settle
from xray.errors import XrayError
from xray.password import made_password

pytestmark = pytest.mark.long(50)

PROJECT = Path(__file__).parents[3]

START = """
import json, os, sys
from pathlib import Path
from flows.servers.environment import settle
with open("starts", "a") as file:
    print(os.getpid(), file=file)
settle(Path.cwd(), trains=sys.argv[1] == "trains")
print(json.dumps({"tunables": os.environ.get("GLIBC_TUNABLES"), "arguments": sys.argv[1:]}))
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc reads GLIBC_TUNABLES")


def started(folder: Path, *arguments: str, tunables: str | None = None) -> tuple[dict, list[str]]:
    """Settle in a child; give what it found after that, and the process id at each start of it."""
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment |= {"PYTHONPATH": str(PROJECT)} | ({"GLIBC_TUNABLES": tunables} if tunables else {})
    command = [sys.executable, "-c", START, *arguments]
    child = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout), (folder / "starts").read_text().split()


@needs_glibc
def test_a_training_starts_its_process_again_once_with_its_arguments(tmp_path: Path) -> None:
    found, starts = started(tmp_path, "trains", "a b", "--set")
    assert len(starts) == 2
    assert len(set(starts)) == 1, "the same process, not a child"
    assert found["arguments"] == ["trains", "a b", "--set"]
    assert dict(pair.split("=") for pair in found["tunables"].split(":")) == TRAINING_MEMORY


@needs_glibc
def test_a_user_who_set_the_allocator_keeps_it(tmp_path: Path) -> None:
    found, starts = started(tmp_path, "trains", tunables="glibc.malloc.arena_max=2")
    assert len(starts) == 1
    assert found["tunables"] == "glibc.malloc.arena_max=2"


def test_a_command_that_does_not_train_starts_once(tmp_path: Path) -> None:
    found, starts = started(tmp_path, "looks")
    assert len(starts) == 1
    assert found["tunables"] is None


def test_what_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name: f"own {name}" for name in quiet_settings(tmp_path)}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    settle(tmp_path, trains=False)
    assert {name: os.environ[name] for name in own} == own


def test_what_nobody_has_set_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = quiet_settings(tmp_path)
    for name in wanted:
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
        monkeypatch.delenv(name)
    settle(tmp_path, trains=False)
    assert {name: os.environ[name] for name in wanted} == wanted


def test_every_folder_that_a_library_keeps_lies_in_the_home_of_the_command(tmp_path: Path) -> None:
    settings = quiet_settings(tmp_path)
    folders = [settings[name] for name in ("PREFECT_HOME", "KERAS_HOME", "MPLCONFIGDIR")]
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)
    assert len(set(folders)) == 3


def test_settling_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in quiet_settings(tmp_path):
        monkeypatch.setenv(name, os.environ.get(name, "own"))
    settle(tmp_path / "home", trains=False)
    assert list(tmp_path.iterdir()) == []


NOBODY = "http://127.0.0.1:1/api"


def test_a_server_that_is_named_and_does_not_answer_is_said_in_one_line(tmp_path: Path) -> None:
    with (
        temporary_settings({PREFECT_API_URL: NOBODY}),
        pytest.raises(XrayError, match=f"must name a server that answers. Received: {NOBODY}"),
        served(tmp_path),
    ):
        pytest.fail("nothing is begun")


def test_a_full_disk_is_said_before_a_server_starts_and_when_one_fails(
    prefect_server: None, tmp_path: Path, disk_with_room_for: Callable[[int], AbstractContextManager[None]]
) -> None:
    words = f"--home must be a writable folder. Received: {tmp_path}"
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        disk_with_room_for(500),
        pytest.raises(XrayError, match=words),
        served(tmp_path),
    ):
        pytest.fail("nothing is begun")
    with disk_with_room_for(500), pytest.raises(XrayError, match=words), served(tmp_path):
        httpx.get(NOBODY)


def test_a_server_that_goes_away_is_said_in_one_line(prefect_server: None, tmp_path: Path) -> None:
    with pytest.raises(XrayError, match="Prefect's server must answer"), served(tmp_path):
        httpx.get(NOBODY)


WITHOUT = """
import os
from pathlib import Path
from flows.servers.environment import quiet_settings, served
os.environ.update(quiet_settings(Path.cwd()))
with served(Path.cwd()):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
    from xray.errors import XrayError
    with get_client(sync_client=True) as client:
        url = str(client.api_url).rstrip("/")
    print(url)
    with temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: None}):
        try:
            with served(Path.cwd()):
                print("let in")
        except XrayError as error:
            print(error)
"""

TEMPORARY = """
import os, sys
from pathlib import Path
from flows.servers.environment import quiet_settings, served
os.environ.update(quiet_settings(Path.cwd()))

def imports():
    import xray.runs.training_run

with served(Path.cwd(), imports):
    import httpx
    from prefect.client.orchestration import get_client
    with get_client(sync_client=True) as client:
        url = str(client.api_url)
        print(client.hello().status_code, "mlflow" in sys.modules)
    print(httpx.post(f"{url}flows/filter", json={}).status_code)
    print(httpx.post(f"{url}flows/filter", json={}, auth=tuple(sys.argv[1].split(":"))).status_code)
    print(httpx.get(f"{url}health", headers={"Origin": "http://127.0.0.1:1"}).headers.get("access-control-allow-origin"))
"""


@pytest.mark.slow
def test_a_temporary_server_is_there_behind_the_homes_password_with_what_the_command_will_need(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(PROJECT)}
    password = made_password(tmp_path)
    child = subprocess.run(
        [sys.executable, "-c", TEMPORARY, password],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (child.stdout.splitlines(), child.stderr) == (["200 True", "401", "200", "None"], "")


@pytest.mark.slow
def test_a_server_that_wants_another_password_is_said_in_one_line(tmp_path: Path) -> None:
    """One that the user named, as where PREFECT_API_URL was set and the password was not."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(PROJECT)}
    child = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    found, said = child.stdout.split("\n", 1)
    assert "PREFECT_API_AUTH_STRING must be the password of the server of PREFECT_API_URL." in said, child.stderr
    assert f"Received: {found} answers 401" in said
