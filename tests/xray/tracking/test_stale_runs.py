"""What dead processes left is ended; what a living one has is left alone."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from xray.config import Workspace
from xray.tracking.lookup.list_runs import last_runs
from xray.tracking.owning_process import Owner
from xray.tracking.stale_runs import scratch_folder, sweep
from xray.tracking.store import store_of
from xray.tracking.tracker import Tracker


@pytest.fixture
def dead() -> Owner:
    """A process that was killed."""
    child = subprocess.Popen(["sleep", "60"])
    owner = Owner(socket.gethostname(), child.pid, psutil.Process(child.pid).create_time())
    child.kill()
    child.wait()
    return owner


def test_a_process_is_told_from_another_one_with_its_number(dead: Owner) -> None:
    this = Owner.this()
    assert this.is_alive() is True and dead.is_alive() is False
    assert Owner(this.host, this.pid, this.born - 60).is_alive() is False
    assert Owner("another-machine", this.pid, this.born).is_alive() is None
    assert Owner.of(this.tags()) == this and Owner.of({}) is None


def test_runs_that_seem_to_run_are_killed_where_their_process_is_gone(workspace: Workspace, dead: Owner) -> None:
    store = store_of(workspace)
    client = store.client()
    experiment = store.experiment(client, "xray-test")
    owners = {"dead": dead.tags(), "alive": Owner.this().tags(), "unknown": {}}
    runs = {name: client.create_run(experiment, tags=tags).info.run_id for name, tags in owners.items()}
    listed = {line.run_id: line.status for line in last_runs(workspace, "xray-test", 10, "").runs}
    assert {name: listed[run] for name, run in runs.items()} == {
        "dead": "killed", "alive": "running", "unknown": "running"
    }  # fmt: skip


def test_a_training_that_goes_on_owns_its_run_again(opened: Callable[[], Tracker], dead: Owner) -> None:
    client, run_id = opened().require()
    for name, value in dead.tags().items():
        client.set_tag(run_id, name, value)
    experiment = client.get_run(run_id).info.experiment_id
    sweep(client, experiment)
    assert client.get_run(run_id).info.status == "KILLED"
    opened().require()
    sweep(client, experiment)
    run = client.get_run(run_id)
    assert run.info.status == "RUNNING" and Owner.of(run.data.tags) == Owner.this()


def test_a_folder_of_a_killed_process_goes_with_the_next_of_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = (
        "import os, signal, tempfile; from xray.tracking.stale_runs import scratch_folder\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with scratch_folder('xray-model') as folder:\n"
        "    (folder / 'model.keras').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == -9
    (tmp_path / "xray-model-of-an-older-version").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    with scratch_folder("xray-model") as one, scratch_folder("xray-model") as two:
        assert {path.name for path in tmp_path.iterdir()} == {one.name, two.name, "xray-model-of-an-older-version"}
    assert [path.name for path in tmp_path.iterdir()] == ["xray-model-of-an-older-version"]
