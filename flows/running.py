"""Which servers `xray up` runs in a home, so that other commands there use them by themselves."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

HEARTBEAT_SECONDS = 30
"""The shortest that Prefect allows between two signs of life; prefect.yaml says the same to a worker's runs."""

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


def running(home: Path) -> Running | None:
    """Name the servers that run in a home; None where there are none, or they are starting.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
    """
    if not _announcement(home).is_file():  # nothing is made in a home that no server has used
        return None
    with _held(home, seconds=0) as free:
        if free:
            return None
        try:
            return Running(**json.loads(_announcement(home).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


def announce(home: Path, servers: Running) -> None:
    """Tell the other commands of a home that its servers answer."""
    path = _announcement(home)
    partial = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    partial.write_text(json.dumps(asdict(servers)), encoding="utf-8")
    partial.replace(path)


@contextmanager
def only_one(home: Path) -> Iterator[bool]:
    """Be the one `xray up` of a home for as long as the block lasts; give whether there is no other."""
    (home / ".prefect").mkdir(parents=True, exist_ok=True)
    with _held(home, STARTING_SECONDS) as free:
        if free:
            _announcement(home).unlink(missing_ok=True)  # of one that was killed
        try:
            yield free
        finally:
            if free:
                _announcement(home).unlink(missing_ok=True)


@contextmanager
def _held(home: Path, seconds: float) -> Iterator[bool]:
    lock = FileLock(home / ".prefect" / "servers.lock")
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _announcement(home: Path) -> Path:
    return home / ".prefect" / "servers.json"
