"""A home that was moved or copied keeps its files below itself, and touches no other folder."""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service import utils

from tests.xray.conftest import Learned
from tests.xray.promotion.contenders import NAME, contenders
from xray.config import Workspace
from xray.errors import RegistryError
from xray.models.model_files import DIGEST_TAG
from xray.scoring.local_pool import fetched
from xray.tracking.database import moved_home
from xray.tracking.store import store_of


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, migrated: Path, prepared: Learned, network: Path) -> Workspace:
    """A home with two versions. Read only."""
    return contenders(tmp_path_factory.mktemp("moved") / "a home", migrated, prepared, network)


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> None:
    """MLflow remembers where a run's files lie by the run alone, and a copy has the same runs."""
    utils._artifact_repos_cache.clear()


def listing(folder: Path) -> list[tuple[str, int, int]]:
    return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))]


def used(workspace: Workspace, scratch: Path) -> None:
    """Read a model, and add a file to an old run and to a new one."""
    store = store_of(workspace)
    client = store.client()
    with fetched(workspace, f"models:/{NAME}/1") as model:
        assert (model / "MLmodel").is_file()
    version = client.get_model_version(NAME, "1")
    assert version.tags[DIGEST_TAG]
    (scratch / "new.txt").write_text("new")
    new = client.create_run(store.experiment(client, "xray-test"))
    for run_id in (version.run_id, new.info.run_id):
        client.log_artifact(str(run_id), str(scratch / "new.txt"))
    assert len(list((workspace.mlruns / "artifacts").rglob("new.txt"))) == 2


def test_a_copy_is_used_without_a_touch_to_what_it_is_a_copy_of(
    original: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Workspace(home=tmp_path / "copy #1 50%")
    shutil.copytree(original.home, copy.home)
    before = listing(original.home)
    with caplog.at_level(logging.WARNING, "xray"):
        used(copy, tmp_path)
    assert caplog.messages == [f"This home was moved or copied here from {original.home}; its paths were updated"]
    assert listing(original.home) == before


def test_a_moved_home_never_writes_where_it_was(original: Workspace, tmp_path: Path) -> None:
    first, second = Workspace(home=tmp_path / "first"), Workspace(home=tmp_path / "second é")
    shutil.copytree(original.home, first.home)
    store_of(first).client()
    first.home.rename(second.home)
    used(second, tmp_path)
    assert not first.home.exists()
    client = store_of(second).client()
    experiment = client.get_experiment_by_name("xray-test")
    assert experiment is not None
    models = client.search_logged_models([experiment.experiment_id])
    kept = [experiment.artifact_location, *(str(model.artifact_location) for model in models)]
    assert len(kept) == 3 and all(place.startswith(f"{store_of(second).artifacts}/") for place in kept)


def test_runs_of_another_home_in_this_ones_database_keep_their_place(
    original: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, other = Workspace(home=tmp_path / "home"), Workspace(home=tmp_path / "other")
    shutil.copytree(original.home, home.home)
    with monkeypatch.context() as shared:
        shared.setenv("MLFLOW_TRACKING_URI", store_of(home).uri)
        store = store_of(other)
        client = store.client()
        run = client.create_run(store.experiment(client, "of-the-other"))
        client.log_text(run.info.run_id, "kept", "kept.txt")
    used(home, tmp_path)
    experiment = store_of(home).client().get_experiment_by_name("of-the-other")
    assert experiment is not None and experiment.artifact_location == f"{store_of(other).artifacts}/of-the-other"


def test_one_that_cannot_be_written_says_where_it_was(
    original: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moved_home, "BUSY_SECONDS", 0.1)
    copy = Workspace(home=tmp_path / "copy")
    shutil.copytree(original.home, copy.home)
    with closing(sqlite3.connect(copy.mlruns / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryError, match=f"must be writable once.*copied here from {original.home}"):
            store_of(copy).client()
