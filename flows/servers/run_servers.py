"""Prefect's server, MLflow's server and a worker, run together by honcho: all start, and all end."""

import os
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from honcho.manager import SYSTEM_PRINTER_NAME, Manager
from honcho.printer import Message

from flows.preflight import require_free
from flows.servers.environment import DATABASES, lasting_settings, memory_settings
from flows.servers.parent_process import import_path
from flows.servers.prefect_database import cause, require_usable
from flows.servers.reaper import MARK, end_runs, marked
from flows.servers.server_registry import (
    CLIENT_PASSWORD,
    SERVER_PASSWORD,
    Running,
    only_one,
    open_to_others,
    running,
    secrets_of,
)
from xray.config import Workspace
from xray.errors import XrayError
from xray.password import made_password
from xray.redaction import redacted, require_database

TAIL_LINES = 15
SAID = re.compile(r"(?P<name>\w+) stopped \(rc=(?P<code>-?\d+)\)|SIG\w+ received")


@dataclass(frozen=True)
class Plan:
    """What `xray up` starts.

    Attributes:
        home: Absolute path of the folder that holds data/, mlruns/ and Prefect's own state.
        prefect_port: 1 to 65535, free.
        mlflow_port: 1 to 65535, free.
        deployments: The file that is applied.
        notify: The notification block that a failed run is told through, `TYPE/NAME`, if any.
    """

    home: Path
    prefect_port: int
    mlflow_port: int
    deployments: Path
    notify: str | None = None

    @property
    def servers(self) -> Running:
        """Where they will answer."""
        return Running(f"http://127.0.0.1:{self.prefect_port}", f"http://127.0.0.1:{self.mlflow_port}")

    @property
    def database(self) -> str:
        """Prefect's database, as SQLAlchemy writes it."""
        named = filter(None, map(os.environ.get, DATABASES[1:]))
        folder = Path(os.environ.get("PREFECT_HOME") or self.home / ".prefect")
        return next(named, f"sqlite+aiosqlite:///{folder / 'prefect.db'}")

    def access(self) -> dict[str, str]:
        """Give the environment that closes Prefect's server to pages of other origins, and to whoever has no password.

        Raises:
            XrayError: The home's password cannot be kept there.
        """
        port = self.prefect_port
        return {
            SERVER_PASSWORD: made_password(self.home),
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
        }

    def log(self, name: str) -> Path:
        """Name the file that a process writes to."""
        return self.home / ".prefect" / "logs" / f"{name}.log"

    def commands(self) -> dict[str, list[str]]:
        """Give the command line of each process, by its name."""
        ports = {"prefect": str(self.prefect_port), "mlflow": str(self.mlflow_port)}
        worker = [str(self.home), self.servers.prefect, self.servers.mlflow, str(self.log("worker"))]
        return {
            "prefect": ["prefect", "server", "start", "--host", "127.0.0.1", "--port", ports["prefect"]],
            "mlflow": ["flows.cli", "ui", "--home", str(self.home), "--port", ports["mlflow"]],
            "worker": ["flows.servers.worker", *worker, str(self.deployments), self.notify or ""],
        }


def up(plan: Plan) -> int:
    """Start everything, and end everything when one of it ends or a signal comes.

    Returns:
        What the command ends with: 0 after Ctrl-C, 1 where a process ended by itself.

    Raises:
        XrayError: A port is taken, or the environment names servers that run elsewhere.
    """
    with only_one(plan.home) as alone:
        if not alone:
            _say(_already(plan.home))
            return 0
        _require_own_store()
        for name in DATABASES:
            require_database(os.environ.get(name, ""), name)
        require_usable(plan.database)
        require_free(plan.prefect_port, "--prefect-port")
        require_free(plan.mlflow_port, "--mlflow-port")
        Workspace(home=plan.home).mlruns.mkdir(exist_ok=True)
        plan.log("").parent.mkdir(parents=True, exist_ok=True)
        _say(f"Starting Prefect, MLflow and a worker; their logs are in {plan.log('').parent}")
        others = open_to_others(plan.home)
        if others:
            _say(f"Other users can read {' and '.join(others)}; to prevent that: chmod -R go= {shlex.join(others)}")
        return _run(plan)


def _run(plan: Plan) -> int:
    mark = uuid.uuid4().hex
    story = _Story()
    manager = _Manager(story, mark)
    own = {**lasting_settings(plan.home), **plan.access(), **os.environ, MARK: mark, "XRAY_HOME": str(plan.home)}
    own[CLIENT_PASSWORD] = own[SERVER_PASSWORD]
    used = {**own, **plan.servers.variables()}
    used |= secrets_of(plan.home, plan.servers, used)
    settings = {"prefect": used, "mlflow": own, "worker": {**memory_settings(), **used}}
    for name, command in plan.commands().items():
        plan.log(name).write_bytes(b"")
        # What still comes through honcho's pipe is the worker's few lines for the person who started it.
        output = "" if name == "worker" else f" >> {shlex.quote(str(plan.log(name)))} 2>&1"
        line = f"exec {shlex.join([sys.executable, '-m', *command])}{output}"
        manager.add_process(name, line, env=settings[name], cwd=str(plan.home))
    with _reaped(mark):
        manager.loop()
        for process in marked(mark):
            process.kill()
    return 0 if story.ended is None else _told(plan, *story.ended)


@contextmanager
def _reaped(mark: str) -> Iterator[None]:
    """Start a process that ends everything with the mark if this process is killed."""
    command = [sys.executable, "-P", "-m", "flows.servers.reaper", str(os.getpid()), mark]
    nothing = subprocess.DEVNULL
    environment = {**os.environ, "PYTHONPATH": import_path()}
    reaper = subprocess.Popen(
        command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    try:
        yield
    finally:
        reaper.terminate()
        reaper.wait()


def _told(plan: Plan, name: str, code: int) -> int:
    """Say why everything ended: in one line if Prefect's database is the reason, else with the log's last lines."""
    text = plan.log(name).read_text(encoding="utf-8", errors="replace")
    known = cause(text, plan.database) if name == "prefect" else None
    if known:
        raise XrayError(known)
    tail = text.splitlines()[-TAIL_LINES:]
    sys.stderr.write(f"xray: {name} stopped, so all were stopped. Received: code {code}; {plan.log(name)} ends:\n")
    sys.stderr.writelines(f"  {redacted(line)}\n" for line in tail)
    return 1


class _Story:
    """Honcho's printer: it passes the worker's lines on, and keeps who ended first."""

    width = 0

    def __init__(self) -> None:
        self.ended: tuple[str, int] | None = None
        self._closed = False

    def write(self, message: Message) -> None:
        """Take a line from a process, or from honcho itself."""
        text = message.data.decode(errors="replace") if isinstance(message.data, bytes) else message.data
        if message.name != SYSTEM_PRINTER_NAME:
            _say(text.rstrip("\n"))
            return
        said = SAID.match(text)
        if said and not self._closed:
            self._closed = True
            self.ended = (said["name"], int(said["code"])) if said["name"] else None


class _Manager(Manager):
    """Honcho's manager, which ends groups of processes; runs of flows have left theirs, and are ended first."""

    def __init__(self, story: _Story, mark: str) -> None:
        super().__init__(story)
        self._mark = mark

    def terminate(self) -> None:
        """End the runs while Prefect's server still hears that, and then the three processes."""
        if not self._terminating:
            groups = {process["pid"] for process in self._processes.values() if "pid" in process}
            end_runs(self._mark, groups)
        super().terminate()


def _already(home: Path) -> str:
    servers = running(home)
    if servers is None:
        return f"another xray up is starting in {home}"
    return f"already running in {home}: Prefect {servers.prefect}, MLflow {servers.mlflow}"


def _require_own_store() -> None:
    if os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
        raise XrayError(
            "MLFLOW_TRACKING_URI must be unset or name a database, because xray up starts MLflow's server. "
            "Received: the address of a server"
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
