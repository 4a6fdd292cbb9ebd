"""Real servers and commands for the system tests: started on free ports, waited for, ended whole."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.servers.server_registry import MLFLOW_PASSWORD, MLFLOW_USER
from tests.system.conftest import OUTSIDE, PROJECT
from tests.system.waiting import SECONDS, until
from xray.password import password_file

CLIENT = httpx.Client(trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
"""For every question over HTTP: `httpx.get` loads all certificates each time, which takes longer than to ask.

It keeps no connection, for the servers of a test come and go.
"""


def free_ports(count: int) -> list[int]:
    """Find ports that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def answers(address: str) -> bool:
    """Say whether a server answers with a success."""
    try:
        return CLIENT.get(address, timeout=5).is_success
    except httpx.TransportError:
        return False


def settings_of(user: Path, **settings: str) -> dict[str, str]:
    """Give the environment of a user whose home folder is new."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    user.mkdir(exist_ok=True)
    own = {"HOME": str(user), "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "-1"}
    return inherited | own | settings


class Started:
    """A process in a session of its own, and what it has written.

    Args:
        folder: Where its log is, and where it runs unless `place` names another folder.
        name: Of its log.
        command: Arguments of the program.
        settings: Its environment.
        program: Python, if no other is named.
        place: Where it runs.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        command: list[str],
        settings: dict[str, str],
        program: str = sys.executable,
        place: Path | None = None,
    ) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as lines:
            self.child = subprocess.Popen(
                [program, *command], cwd=place or folder, env=settings, stdout=lines, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread beside it
            )  # fmt: skip

    def said(self, words: str) -> bool:
        """Say whether it has written something; it must not have ended before."""
        text = self.log.read_text(errors="replace")
        assert words in text or self.child.poll() is None, text
        return words in text

    def alive(self) -> bool:
        """Make sure that it has not ended."""
        assert self.child.poll() is None, self.log.read_text(errors="replace")
        return True

    def ended(self, seconds: float = SECONDS) -> int:
        """Wait for its end, and give its exit code."""
        return self.child.wait(seconds)

    def interrupt(self) -> None:
        """Press Ctrl-C in its terminal."""
        os.killpg(self.child.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill all of its session, without warning."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


@contextmanager
def signed_in(home: Path) -> Iterator[None]:
    """Let MLflow's client in this process send the password of a home for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip((MLFLOW_USER, MLFLOW_PASSWORD), credentials(home), strict=True):
            patch.setenv(name, value)
        yield


@contextmanager
def started(
    folder: Path,
    name: str,
    command: list[str],
    settings: dict[str, str],
    program: str = sys.executable,
    place: Path | None = None,
) -> Iterator[Started]:
    """Start a process; whatever happens, nothing of its session is left."""
    process = Started(folder, name, command, settings, program, place)
    try:
        yield process
    finally:
        process.kill()


def credentials(home: Path) -> tuple[str, str]:
    """Give the user's name and the password that the servers of a home demand."""
    user, _, password = password_file(home).read_text().strip().partition(":")
    return user, password


class Prefect:
    """A Prefect server, asked over HTTP.

    Args:
        address: Without a path.
        home: The home whose password it demands.
    """

    def __init__(self, address: str, home: Path) -> None:
        self._api = f"{address}/api"
        self._home = home

    def _answer(self, method: str, path: str, **sent: Any) -> Any:
        """Ask, and like Prefect's own clients again after a 503: so it answers a write that met another."""

        def answered() -> httpx.Response | None:
            answer = CLIENT.request(method, f"{self._api}/{path}", auth=credentials(self._home), timeout=60, **sent)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        answer = until(answered, f"Prefect's server serves {path}")
        assert answer.is_success, answer.text
        return answer.json()

    def ask(self, path: str, **body: Any) -> Any:
        """Post a question."""
        return self._answer("POST", path, json=body)

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Give the deployments by FLOW/NAME."""
        flows = {flow["id"]: flow["name"] for flow in self.ask("flows/filter")}
        return {f"{flows[each['flow_id']]}/{each['name']}": each for each in self.ask("deployments/filter")}

    def runs(self, *states: str) -> list[dict[str, Any]]:
        """Give the flow runs in these states, the oldest first."""
        wanted = {"state": {"name": {"any_": list(states)}}} if states else {}
        found = self.ask("flow_runs/filter", flow_runs=wanted)
        return sorted(found, key=lambda run: str(run["expected_start_time"]))

    def run(self, run: str) -> dict[str, Any]:
        """Read one flow run."""
        found: dict[str, Any] = self._answer("GET", f"flow_runs/{run}")
        return found

    def pause(self, deployment: str) -> None:
        """Let its schedule make no more runs."""
        self.ask(f"deployments/{self.deployments()[deployment]['id']}/pause_deployment")

    def start(self, deployment: str, parameters: dict[str, Any] | None = None) -> str:
        """Ask for a run of a deployment now, as its page in the UI does."""
        where = f"deployments/{self.deployments()[deployment]['id']}/create_flow_run"
        made = self.ask(where, state={"type": "SCHEDULED"}, parameters=parameters or {})
        return str(made["id"])
