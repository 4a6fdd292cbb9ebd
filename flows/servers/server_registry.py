"""Which servers `xray up` runs in a home, so that other commands there use them by themselves."""

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from xray.files.atomic import whole_file
from xray.files.lock import locked
from xray.password import USER, kept_password, password_file

SERVER_PASSWORD, CLIENT_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"
MLFLOW_USER, MLFLOW_PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"

NO_ORIGIN = "none"
"""In place of the origins whose pages may use Prefect's server: no page has this one."""

HEARTBEAT_SECONDS = 30
"""The shortest that Prefect allows between two signs of life; prefect.yaml says the same to a worker's runs."""

LOCK = Path(".prefect") / "servers.lock"
"""In a home; held by the `xray up` that runs there."""

STARTING_SECONDS = 1.0
"""A command that looks holds the lock for an instant; `xray up` waits for that."""


@dataclass(frozen=True)
class Running:
    """The servers of a home.

    Attributes:
        prefect: Address of Prefect's server, without a path.
        mlflow: Address of MLflow's server, without a path.
    """

    prefect: str
    mlflow: str

    def variables(self) -> dict[str, str]:
        """Give the environment that makes Prefect and MLflow use them, and a run give signs of life."""
        return {
            "PREFECT_API_URL": f"{self.prefect}/api",
            "MLFLOW_TRACKING_URI": self.mlflow,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        }


def secrets_of(home: Path, servers: Running, settings: Mapping[str, str]) -> dict[str, str]:
    """Give the passwords that go with what an environment names: none to a server that is not the home's.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
        servers: What `xray up` runs there.
        settings: The environment, with the addresses that will be used.
    """
    password = kept_password(home)
    if password is None:
        return {}
    found = {}
    if settings.get("PREFECT_API_URL") == servers.variables()["PREFECT_API_URL"]:
        found[CLIENT_PASSWORD] = password
    if settings.get("MLFLOW_TRACKING_URI") == servers.mlflow:
        found |= {MLFLOW_USER: USER, MLFLOW_PASSWORD: password}
    return found


def running(home: Path) -> Running | None:
    """Name the servers that run in a home; None where there are none, or they are starting.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
    """
    if not _announcement(home).is_file():  # nothing is made in a home that no server has used
        return None
    with locked(home / LOCK) as free:
        if free:
            return None
        try:
            return Running(**json.loads(_announcement(home).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


def access(home: Path) -> str:
    """Say how a person gets in: where the password stands, not what it is, for a terminal's lines are often kept."""
    return f"password {password_file(home)} (paste its line when a page asks; any user name works)"


def shell_access(home: Path, servers: Running) -> list[str]:
    """Give the lines to type in another shell before a command of Prefect's own, such as `prefect deployment run`."""
    file = shlex.quote(str(password_file(home)))
    return [
        f"export PREFECT_API_URL={servers.variables()['PREFECT_API_URL']}",
        f'export {CLIENT_PASSWORD}="$(cat {file})"',
    ]


def open_to_others(home: Path) -> list[str]:
    """Name the folders of a home that other users of the machine can look into: older versions made them so."""
    folders = [home / name for name in ("data", "mlruns", ".prefect")]
    return [str(folder) for folder in folders if folder.is_dir() and folder.stat().st_mode & 0o077]


def announce(home: Path, servers: Running) -> None:
    """Tell the other commands of a home that its servers answer."""
    with whole_file(_announcement(home)) as draft:
        draft.write_text(json.dumps(asdict(servers)), encoding="utf-8")


@contextmanager
def only_one(home: Path) -> Iterator[bool]:
    """Be the one `xray up` of a home for as long as the block lasts; give whether there is no other."""
    (home / ".prefect").mkdir(parents=True, exist_ok=True)
    with locked(home / LOCK, seconds=STARTING_SECONDS) as free:
        if free:
            _announcement(home).unlink(missing_ok=True)  # of one that was killed
        try:
            yield free
        finally:
            if free:
                _announcement(home).unlink(missing_ok=True)


def _announcement(home: Path) -> Path:
    return home / ".prefect" / "servers.json"
