"""One run a training, one value a step, whatever happens to process and store."""

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from xray.config import Workspace
from xray.errors import RegistryError
from xray.tracking import tracker as tracking
from xray.tracking.run_identity import RunFacts
from xray.tracking.store import Store
from xray.tracking.tracker import Tracker, open_run

Opened = Callable[[], Tracker]


def epochs(count: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": n, "ended_ms": 1_700_000_000_000 + n * 1000, "seconds": 1.5,
            "loss": 1 / n, "val_loss": 2 / n, "val_auc": 0.9,
        }
        for n in range(1, count + 1)
    ]  # fmt: skip


def history(client: MlflowClient, run_id: str, name: str) -> list[tuple[int, float, int]]:
    return [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, name)]


def test_epochs_lie_at_their_true_steps_and_times(opened: Opened) -> None:
    tracker = opened()
    assert tracker.log_epochs(epochs(2)) == []
    client, run_id = tracker.require()
    assert history(client, run_id, "loss") == [(1, 1.0, 1_700_000_001_000), (2, 0.5, 1_700_000_002_000)]
    assert sorted(client.get_run(run_id).data.metrics) == ["loss", "seconds", "val_auc", "val_loss"]


def test_sent_again_and_from_a_new_process_it_is_one_value_a_step(opened: Opened) -> None:
    first = opened()
    first.log_epochs(epochs(2))
    first.log_epochs(epochs(2))
    again = opened()
    assert again.log_epochs(epochs(4)) == []
    client, run_id = again.require()
    assert run_id == first.require()[1]
    for name in ("loss", "val_loss", "seconds"):
        assert [step for step, _, _ in history(client, run_id, name)] == [1, 2, 3, 4]


def test_killed_between_sending_and_remembering_it_is_still_one_value_a_step(opened: Opened) -> None:
    first = opened()
    first._sent = set()
    first.log_epochs(epochs(1))
    first._sent = set()  # as if the process had not lived to note it
    assert first.log_epochs(epochs(2)) == []
    client, run_id = first.require()
    assert [step for step, _, _ in history(client, run_id, "loss")] == [1, 2]


def test_a_run_that_failed_is_running_again_when_reopened_and_a_finished_one_is_left(opened: Opened) -> None:
    first = opened()
    assert first.finish("FAILED")
    client, run_id = opened().require()
    assert client.get_run(run_id).info.status == "RUNNING"
    assert opened().finish()
    ended = client.get_run(run_id).info.end_time
    again = opened()
    again.log_epochs([])
    assert again.finish()
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.get_run(run_id).info.end_time == ended


def test_a_finished_run_runs_again_while_it_gets_new_epochs(opened: Opened) -> None:
    opened().finish()
    tracker = opened()
    tracker.log_epochs(epochs(1))
    client, run_id = tracker.require()
    assert client.get_run(run_id).info.status == "RUNNING"


def test_a_store_that_is_away_stops_no_training_and_loses_nothing(
    workspace: Workspace, folder: Path, facts: RunFacts, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = workspace.mlruns.with_name("elsewhere")
    workspace.mlruns.rename(hidden)
    workspace.mlruns.write_text("a file where the store's folder was")
    tracker = open_run(workspace, folder, facts)
    assert tracker.log_epochs(epochs(1)) == [1]
    with tracker.system_metrics():
        assert tracker.log_epochs(epochs(2)) == [1, 2]
    assert not tracker.finish("FAILED")
    assert "MLflow does not answer, epochs are kept and sent later: tracking store sqlite:///" in caplog.text
    with pytest.raises(RegistryError, match="must answer"):
        tracker.require()

    workspace.mlruns.unlink()
    hidden.rename(workspace.mlruns)
    assert tracker.log_epochs(epochs(3)) == []
    client, run_id = tracker.require()
    assert [step for step, _, _ in history(client, run_id, "loss")] == [1, 2, 3]


def test_a_store_lost_midway_gets_the_rest_when_it_is_back(opened: Opened, workspace: Workspace) -> None:
    tracker = opened()
    tracker.log_epochs(epochs(1))
    client, run_id = tracker.require()
    database, hidden = workspace.mlruns / "mlflow.db", workspace.mlruns / "hidden.db"
    client._tracking_client.store.engine.dispose()
    database.rename(hidden)
    assert tracker.log_epochs(epochs(2)) == [2]
    client._tracking_client.store.engine.dispose()
    database.unlink(missing_ok=True)
    hidden.rename(database)
    assert tracker.log_epochs(epochs(3)) == []
    assert [step for step, _, _ in history(client, run_id, "loss")] == [1, 2, 3]


def test_a_server_that_never_answers_is_waited_for_no_longer_than_told(folder: Path, facts: RunFacts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        tracker = Tracker(store, folder, facts, patience_seconds=0.5)
        started = time.monotonic()
        assert tracker.log_epochs(epochs(1)) == [1]
        assert tracker.log_epochs(epochs(2)) == [1, 2]
        assert time.monotonic() - started < 5


def test_a_run_remembered_in_another_store_is_made_anew_with_every_epoch(
    opened: Opened, workspace: Workspace, migrated: Path
) -> None:
    opened().log_epochs(epochs(2))
    (workspace.mlruns / "mlflow.db").write_bytes(migrated.read_bytes())
    tracker = opened()
    assert tracker.log_epochs(epochs(2)) == []
    client, run_id = tracker.require()
    assert [step for step, _, _ in history(client, run_id, "loss")] == [1, 2]


def test_a_kill_between_making_the_run_and_noting_its_id_makes_no_second_run(opened: Opened, folder: Path) -> None:
    _, run_id = opened().require()
    note = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**note, "run_id": None}))
    assert opened().require()[1] == run_id
    assert json.loads((folder / "run.json").read_text()) == {"key": note["key"], "run_id": run_id}


def test_a_run_deleted_in_the_ui_is_made_anew(opened: Opened) -> None:
    client, run_id = opened().require()
    client.delete_run(run_id)
    tracker = opened()
    assert tracker.log_epochs(epochs(2)) == []
    assert tracker.require()[1] != run_id


def test_system_metrics_go_on_at_the_next_step(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "SYSTEM_SAMPLE_SECONDS", 0.2)
    name = "system/cpu_utilization_percentage"
    tracker = opened()
    tracker.log_epochs(epochs(1))
    client, run_id = tracker.require()
    for least in (2, 4):
        with opened().system_metrics():
            while len(history(client, run_id, name)) < least:
                time.sleep(0.1)
    steps = [step for step, _, _ in history(client, run_id, name)]
    assert steps == list(range(len(steps)))
    load = {each for each in client.get_run(run_id).data.metrics if each.startswith("system/")}
    assert not [each for each in load if "disk" in each or "network" in each]
    assert not any(thread.name == "SystemMetricsMonitor" for thread in threading.enumerate())


def test_a_run_has_a_curve_before_the_machines_load_so_that_mlflow_compares_by_that(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "SYSTEM_SAMPLE_SECONDS", 0.2)
    tracker = opened()
    client, run_id = tracker.require()
    with tracker.system_metrics():
        assert client.get_run(run_id).data.metrics == {}
        tracker.log_epochs(epochs(1))
        while not history(client, run_id, "system/cpu_utilization_percentage"):
            time.sleep(0.1)
    assert next(iter(client.get_run(run_id).data.metrics)) == "val_auc"
