"""One MLflow run for one training and its evaluation: opened once, reopened on resume, every step sent once.

A store that is away never stops a training. What could not be sent stays in the training's history and goes out
with a later call; nothing waits longer than `PATIENCE_SECONDS`.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from xray.config import Workspace
from xray.tracking.run_identity import RunFacts, run_of
from xray.tracking.store import Store, first_line, reached, store_of

PATIENCE_SECONDS = 20.0
EPOCH_SECONDS = 5.0
"""Longest wait between two epochs, once in an outage: a training does not stand still for its tracking."""

MOMENT_SECONDS = 0.2
CREATION_SECONDS = 120.0
"""Longest wait for a database file that is not there yet: making its tables took a busy machine 20 s."""

SYSTEM_SAMPLE_SECONDS = 5
NOT_WATCHED = (DiskMonitor, NetworkMonitor)
"""A training is held up by processors, memory and GPUs, which are watched; MLflow charts each figure more."""

NOT_METRICS = ("epoch", "ended_ms")
FIRST = "val_auc"
"""The metric that a run gets first: MLflow's page of two runs compared opens on it, and on none that people choose."""

logger = logging.getLogger(__name__)


class Tracker:
    """The MLflow run of one training folder.

    Args:
        store: Where it is kept.
        folder: The training folder; `run.json` in it remembers the run.
        facts: What the run is told of itself.
        patience_seconds: Longest wait of a call that must not stop a training.
    """

    def __init__(self, store: Store, folder: Path, facts: RunFacts, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Remember what to track; nothing is reached yet."""
        self.store = store
        self._folder = folder
        self._facts = facts
        self._patience = patience_seconds
        self._opening = threading.Lock()
        self._client: MlflowClient | None = None
        self._run_id: str | None = None
        self._sent: set[int] | None = None
        self._worker: threading.Thread | None = None
        self._monitor: SystemMetricsMonitor | None = None
        self._monitoring = False

    def require(self) -> tuple[MlflowClient, str]:
        """Give the client and the run's id, opening the run where that was not possible before.

        Raises:
            RegistryError: The store cannot be reached.
            StoreError: `run.json` could not be written.
        """
        with self._opening:
            if self._client is None:
                self._client = self.store.client()
            if self._run_id is None:
                with reached(self.store):
                    self._run_id = run_of(self._client, self.store, self._folder, self._facts)
            return self._client, self._run_id

    def open(self) -> bool:
        """Open the run now, if the store answers. Never raises.

        Returns:
            Whether the run is open.
        """
        seconds = CREATION_SECONDS if self.store.is_new else self._patience
        return self._within_patience(self.require, "the run will be opened later", seconds)

    def log_epochs(self, epochs: Sequence[Mapping[str, Any]], seconds: float | None = None) -> list[int]:
        """Send every epoch of a history that the run does not have yet. Never raises, never waits long.

        Args:
            epochs: The whole history so far: `epoch` (from 1), `ended_ms` (Unix milliseconds), and numbers.
            seconds: The longest to wait, where the tracker's own patience is too long.

        Returns:
            The epochs that are still to be sent; a later call sends them.
        """
        self._within_patience(lambda: self._send(epochs), "epochs are kept and sent later", seconds)
        sent = frozenset(self._sent or ())
        return [int(epoch["epoch"]) for epoch in epochs if int(epoch["epoch"]) not in sent]

    @contextmanager
    def system_metrics(self) -> Iterator[None]:
        """Log this machine's load to the run from its first epoch to the block's end, going on at the last step."""
        self._monitoring = True
        self._within_patience(self._watch, "system metrics start later")
        try:
            yield
        finally:
            self._monitoring = False
            if self._monitor is not None:
                self._within_patience(self._monitor.finish, "the last system metrics are lost")

    def finish(self, status: str = "FINISHED") -> bool:
        """Close the run; one that is finished already is left as it is. Never raises, never waits long.

        Args:
            status: FINISHED, FAILED or KILLED.

        Returns:
            Whether the store knows it.
        """

        def close() -> None:
            client, run_id = self.require()
            if client.get_run(run_id).info.status != "FINISHED":
                client.set_terminated(run_id, status)

        return self._within_patience(close, "the run stays open in the UI")

    def _send(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        client, run_id = self.require()
        if self._sent is None:
            self._sent = _steps_sent(client, run_id, epochs)
        missing = [epoch for epoch in epochs if int(epoch["epoch"]) not in self._sent]
        if missing and client.get_run(run_id).info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")
        for epoch in missing:
            step = int(epoch["epoch"])
            metrics = [Metric(name, value, int(epoch["ended_ms"]), step) for name, value in _numbers(epoch).items()]
            # one batch is one transaction: an epoch is there whole or not at all
            client.log_batch(run_id, metrics=metrics, synchronous=True)
            self._sent.add(step)
        self._watch()

    def _watch(self) -> None:
        """Start MLflow's monitor where it should run and does not: its thread ends at its first failure."""
        running = any(thread.name == "SystemMetricsMonitor" for thread in threading.enumerate())
        if not self._monitoring or running:
            return
        client, run_id = self.require()
        if FIRST not in client.get_run(run_id).data.metrics:
            return
        monitor = SystemMetricsMonitor(
            run_id, sampling_interval=SYSTEM_SAMPLE_SECONDS, resume_logging=True, tracking_uri=self.store.uri
        )
        monitor.monitors = [each for each in monitor.monitors if not isinstance(each, NOT_WATCHED)]
        monitor.start()
        self._monitor = monitor  # only now: one that has not started cannot be finished, and MLflow prints that

    def _within_patience(self, call: Callable[[], object], otherwise: str, seconds: float | None = None) -> bool:
        """Make a call in a thread of its own, since MLflow's HTTP retries alone block for four minutes."""
        seconds = seconds or self._patience
        if self._worker is not None:  # it has been waited for once, which is enough
            self._worker.join(MOMENT_SECONDS)
            if self._worker.is_alive():
                return False
        errors: list[str] = []
        done = threading.Event()

        def work() -> None:
            try:
                call()
                done.set()
            except Exception as error:  # noqa: BLE001 a training outlives whatever its tracking raises
                errors.append(first_line(error))

        self._worker = threading.Thread(target=work, name="xray-tracking", daemon=True)
        self._worker.start()
        self._worker.join(seconds)
        if not done.is_set():
            reason = errors[0] if errors else f"no answer from {self.store.shown} in {seconds:g} s"
            logger.warning("MLflow does not answer, %s: %s", otherwise, reason)
        return done.is_set()


def open_run(workspace: Workspace, folder: Path, facts: RunFacts) -> Tracker:
    """Open or reopen the run of a training folder. A store that is away is tried again with each later call.

    Args:
        workspace: Where the store lies.
        folder: The training folder, which must exist.
        facts: What the run is told of itself.
    """
    tracker = Tracker(store_of(workspace), folder, facts)
    tracker.open()
    return tracker


def _numbers(epoch: Mapping[str, Any]) -> dict[str, float]:
    found = {name: float(value) for name, value in epoch.items() if name not in NOT_METRICS and isinstance(value, Real)}
    return dict(sorted(found.items(), key=lambda item: item[0] != FIRST))


def _steps_sent(client: MlflowClient, run_id: str, epochs: Sequence[Mapping[str, Any]]) -> set[int]:
    names = list(_numbers(epochs[0])) if epochs else []
    return {metric.step for metric in client.get_metric_history(run_id, names[0])} if names else set()
