"""Scored on a real Dask cluster of two processes, each scan has the score that it has here, whoever dies meanwhile."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from tasks.cluster.dask_cluster import dask_workers
from xray import config
from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings, save
from xray.models.register import Registration, register
from xray.scoring import cluster_pool
from xray.scoring.cluster_pool import FILES_A_CALL, end_kept, score_kept, scores_on_cluster
from xray.scoring.inbox import list_inbox
from xray.scoring.local_pool import scores
from xray.scoring.model_process import MAIN
from xray.scoring.score_inbox import score_inbox
from xray.scoring.select_model import select_model
from xray.tracking.tracker import Tracker

LOCAL = partial(dask_workers, "local")
IMAGES = config.Images(height=32, width=32)
SCANS = 12 * FILES_A_CALL + 5
SECONDS = 120

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def model(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "kept"
    save(folder, network, Settings.of(IMAGES, DecisionRule.at(0.5)))
    return folder


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Different scans, enough for several calls, and a page. Read only."""
    folder = tmp_path_factory.mktemp("inbox")
    generator = np.random.default_rng(0)
    for number in range(SCANS):
        Image.fromarray(generator.integers(0, 256, (40, 40), np.uint8)).save(folder / f"{number:04}.png")
    (folder / "page.png").write_text("<html>")
    return folder


@pytest.fixture(scope="module")
def files(inbox: Path) -> list[Path]:
    return [*sorted(inbox.iterdir()), inbox / "nowhere.png"]


@pytest.fixture(scope="module")
def here(model: Path, files: list[Path]) -> pd.DataFrame:
    """What two children of this process answer."""
    return pd.concat(list(scores(model, files, children=2)), ignore_index=True)


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    """Whatever a test does, no scoring process outlives it."""
    yield
    wait_for(lambda: not children(), "scoring processes end")


def children() -> list[psutil.Process]:
    """The scoring processes of this process, and of the workers that it started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            found += [process] if str(MAIN) in process.cmdline() else []
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def workers() -> list[psutil.Process]:
    """The workers that this process started."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def kill_with_its_child(worker: psutil.Process) -> None:
    """Kill a worker alone, and see its scoring process end."""
    theirs = [child for child in children() if worker in child.parents()]
    worker.kill()
    wait_for(lambda: not any(child.is_running() for child in theirs), "its child ends with it")


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_row_for_row_as_here_though_a_worker_is_killed_half_way(
    model: Path, files: list[Path], here: pd.DataFrame
) -> None:
    parts: list[pd.DataFrame] = []
    killed: list[psutil.Process] = []
    for part in scores_on_cluster(model, files, LOCAL):
        parts.append(part)
        if not killed:
            killed = workers()[:1]
            kill_with_its_child(killed[0])
    assert len(parts) == -(-len(files) // FILES_A_CALL)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), here, rtol=0, atol=1e-6)


def test_a_ledger_has_each_scan_once_though_a_worker_is_killed_half_way(
    inbox: Path, here: pd.DataFrame, opened: Callable[[], Tracker], workspace: Workspace, network: Path, tmp_path: Path
) -> None:
    registration = Registration(config.Registry(experiment="xray-test", model_name="xray-test"), {}, "# the card")
    register(opened(), network, Settings.of(IMAGES, DecisionRule.at(0.5)), registration)
    choice, found = select_model(workspace, "xray-test"), list_inbox(inbox, workspace)
    killed: list[psutil.Process] = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            assert 0 < done < total
            assert len(list(workspace.shared_models.iterdir())) == 1
            killed.extend(workers()[:1])
            killed[0].kill()

    scored = score_inbox(workspace, choice, found, tmp_path / "scores", False, kill_one, LOCAL)
    assert scored.entry is not None
    assert (len(killed), scored.entry.scans, scored.entry.rejected) == (1, SCANS, 1)
    rows = pd.read_parquet(scored.entry.scores)
    assert rows["image"].tolist() == [f"{number:04}.png" for number in range(SCANS)]
    np.testing.assert_allclose(rows["p_pneumonia"], here["p_pneumonia"][:SCANS].astype(float), rtol=0, atol=1e-6)
    assert list(workspace.shared_models.iterdir()) == [], "the model is lent for the run alone"


def test_a_model_that_does_not_load_is_one_line(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(RegistryError, match=r"^a model must run in a separate process. Received: [^\n]+$"):
        list(scores_on_cluster(tmp_path, files[:1], LOCAL))


def test_no_file_needs_no_cluster(tmp_path: Path) -> None:
    assert list(scores_on_cluster(tmp_path, [], partial(dask_workers, "tcp://127.0.0.1:1"))) == []


def test_a_process_keeps_one_child_for_a_run_until_the_run_ends(model: Path, files: list[Path]) -> None:
    first = score_kept("a run", model, 1, files[:3])
    (child,) = children()
    pd.testing.assert_frame_equal(score_kept("a run", model, 1, files[:3]), first)
    assert children() == [child]
    end_kept("a run")
    end_kept("another run")
    assert children() == []


def test_a_child_that_is_not_asked_for_ends_by_itself_and_is_started_again(
    model: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_pool, "IDLE_SECONDS", 0.1)
    first = score_kept("a killed run", model, 1, files[:3])
    wait_for(lambda: not children(), "the child ends")
    pd.testing.assert_frame_equal(score_kept("a killed run", model, 1, files[:3]), first)
    wait_for(lambda: not children(), "so does the next")


def test_a_child_that_died_is_started_again_and_its_files_are_scored(model: Path, files: list[Path]) -> None:
    first = score_kept("a run", model, 1, files[:3])
    children()[0].kill()
    pd.testing.assert_frame_equal(score_kept("a run", model, 1, files[:3]), first)
    assert len(children()) == 1
    end_kept("a run")
