"""The worker of `xray up`: once both servers answer, it tells them what they need to know, and then takes runs.

It is a process of its own, `python -m flows.servers.worker`, so that Ctrl-C finds three processes and no more.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from flows.servers.server_registry import Running, access, announce, shell_access
from tasks.training_slot import TRAINING
from xray.errors import XrayError
from xray.redaction import redacted

POOL = "xray"
PATIENCE_SECONDS = 300.0
"""The first start makes the tables of two databases, which a busy machine may take minutes for."""


def main() -> None:
    """Wait, prepare, announce, and become Prefect's own worker."""
    home, prefect, mlflow, log, deployments, notify = sys.argv[1:]
    servers = Running(prefect, mlflow)
    try:
        for address in (f"{mlflow}/health", f"{prefect}/api/health"):
            wait_for(address)
        prepare(Path(deployments), Path(log), notify or None)
    except XrayError as error:
        _say(f"xray: {redacted(str(error))}")
        sys.exit(2)
    announce(Path(home), servers)
    _say(f"MLflow   {mlflow}/#/experiments?workflowType=machine_learning")
    _say(f"Prefect  {prefect}")
    _say(access(Path(home)))
    _say("In another shell, before Prefect's own commands:")
    for line in shell_access(Path(home), servers):
        _say(f"  {line}")
    _say("Ctrl-C ends them and everything they run.")
    _become_worker(Path(log))


def wait_for(address: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a server answers.

    Args:
        address: What it answers with a success when it is well.
        seconds: The longest to wait.

    Raises:
        XrayError: It has not answered by then.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise XrayError(f"the server must answer within {seconds:g} s. Received: nothing from {address}")
        time.sleep(0.3)


def prepare(deployments: Path, log: Path, notify: str | None) -> None:
    """Make the work pool and the global limit where they are missing, and apply deployments and automations.

    Args:
        deployments: A file such as `prefect.yaml`.
        log: Where `prefect deploy` may write.
        notify: The notification block for failed runs, `TYPE/NAME`, if any.

    Raises:
        XrayError: The file cannot be applied, or there is no such block.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.workers.process import ProcessWorker

    from flows.servers import automations

    with get_client(sync_client=True) as client:
        try:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            pass
        try:
            client.read_global_concurrency_limit_by_name(TRAINING)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=TRAINING, limit=1))
        automations.apply(client, notify)
    command = [sys.executable, "-m", "prefect", "deploy", "--all", "--no-prompt", "--prefect-file", str(deployments)]
    with log.open("ab") as lines:
        code = subprocess.run(command, stdout=lines, stderr=subprocess.STDOUT, check=False).returncode
    if code != 0:
        raise XrayError(f"{deployments} must be a file that prefect deploy accepts. Received: the errors in {log}")


def _become_worker(log: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # started in the background of a shell, it would be ignored
    with log.open("ab") as lines:
        os.dup2(lines.fileno(), 1)
        os.dup2(lines.fileno(), 2)
    os.execv(sys.executable, [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", POOL])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
