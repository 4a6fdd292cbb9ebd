"""A model scores in processes of its own, with its own copy of `xray`, and none of them outlives what started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from xray import config
from xray.config import Places
from xray.errors import RegistryError
from xray.evaluation.reading import Reading
from xray.registry.child import ALONE
from xray.registry.model import Settings, save
from xray.registry.registration import Registration, register
from xray.registry.scorer import COLUMNS
from xray.registry.scoring import BATCH, fetched, score_alone, scores
from xray.registry.store import store_of
from xray.registry.tracking import Tracker

SCANS = 2 * BATCH + 5
IMAGES = config.Images(height=32, width=32)


@pytest.fixture(scope="module")
def model(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyfunc whose own copy of `xray` is older: it turns the answers round, p becomes 1 - p, and says `label`."""
    folder = tmp_path_factory.mktemp("model") / "kept"
    save(folder, network, Settings.of(IMAGES, Reading.at(0.5)))
    labels = folder / "code" / "xray" / "labels.py"
    changed = labels.read_text().replace("return 1.0 - np.asarray(prob", "return np.asarray(prob")
    assert changed != labels.read_text()
    labels.write_text(changed)
    for older in (folder / "scorer.py", folder / "code" / "xray" / "evaluation" / "reading.py"):
        assert '"likeliest_class"' in older.read_text()
        older.write_text(older.read_text().replace('"likeliest_class"', '"label"'))
    return folder


@pytest.fixture
def read_only() -> Callable[[Path], AbstractContextManager]:
    """Take the right to write away from everything below a folder, as `chmod -R a-w` does."""

    @contextmanager
    def without_right(folder: Path) -> Iterator[None]:
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
        try:
            for path, mode in modes.items():
                path.chmod(mode & ~0o222)
            if os.access(folder, os.W_OK):
                pytest.skip("this user may write everywhere")
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)

    return without_right


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Enough pictures for several batches, then a file that is no picture, and one that is not there."""
    folder = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(0)
    paths = [folder / f"{number:03d} ü.png" for number in range(SCANS)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (40, 40), np.uint8)).save(path)
    (folder / "page.png").write_text("<html>")
    return [*paths, folder / "page.png", folder / "nowhere.png"]


@pytest.fixture(scope="module")
def scored(model: Path, files: list[Path]) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return score_alone(model, files, lambda done, total: told.append((done, total))), told


def test_the_models_own_code_scores_and_never_ours(
    scored: tuple[pd.DataFrame, list[tuple[int, int]]], files: list[Path], model: Path
) -> None:
    ours = mlflow.pyfunc.load_model(str(model)).predict(pd.DataFrame({"image": [files[0].read_bytes()]}))
    assert scored[0]["p_pneumonia"][0] == pytest.approx(1 - ours["p_pneumonia"][0], abs=1e-6)


def test_a_row_a_file_in_order_whatever_the_file(
    scored: tuple[pd.DataFrame, list[tuple[int, int]]], files: list[Path]
) -> None:
    rows, told = scored
    assert len(rows) == len(files)
    assert rows["p_pneumonia"][:SCANS].between(0, 1).all()
    assert rows["error"][:SCANS].tolist() == [None] * SCANS
    assert rows["error"][SCANS].startswith("not-an-image")
    assert rows["error"][SCANS + 1].startswith("unreadable: No such file")
    assert rows["p_pneumonia"][SCANS:].isna().all()
    assert told[-1] == (len(files), len(files))


def test_what_older_code_called_a_label_is_the_likeliest_class(
    scored: tuple[pd.DataFrame, list[tuple[int, int]]], model: Path
) -> None:
    ours = mlflow.pyfunc.load_model(str(model)).predict(pd.DataFrame({"image": [b"no scan"]}))
    assert "label" in ours.columns
    assert set(scored[0].columns) == {*COLUMNS, "sha256"}
    half = ["normal" if p >= 0.5 else "pneumonia" for p in scored[0]["p_pneumonia"][:SCANS]]  # p is turned round
    assert scored[0]["likeliest_class"][:SCANS].tolist() == half


def test_two_children_give_what_one_gives(
    model: Path, files: list[Path], scored: tuple[pd.DataFrame, list[tuple[int, int]]]
) -> None:
    both = pd.concat(list(scores(model, files, children=2)), ignore_index=True)
    assert both["sha256"].tolist()[:SCANS] == scored[0]["sha256"].tolist()[:SCANS]
    np.testing.assert_allclose(both["p_pneumonia"], scored[0]["p_pneumonia"], atol=1e-6)


def test_no_file_needs_no_process(tmp_path: Path) -> None:
    assert score_alone(tmp_path / "no model", []).empty


def test_a_model_that_does_not_load_is_one_line(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(RegistryError, match=r"^a model must score in a process of its own. Received: [^\n]+$"):
        score_alone(tmp_path, files)


def test_a_child_that_was_killed_is_one_line_and_none_is_left(model: Path, files: list[Path]) -> None:
    batches = scores(model, files * 20, children=1)
    next(batches)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(RegistryError, match="Received: its process ended with -9"):
        list(batches)
    assert children() == []


def test_a_child_ends_with_its_parent_even_while_it_loads(model: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-I", str(ALONE), str(model)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=60) == 0


def test_a_registered_model_is_fetched_and_knows_its_version(
    opened: Callable[[], Tracker], places: Places, network: Path, files: list[Path]
) -> None:
    registry = config.Registry(experiment="xray-test", model_name="xray-test")
    settings = Settings.of(IMAGES, Reading.at(0.5))
    registered = register(opened(), network, settings, Registration(registry, {}, "# the card"))
    with fetched(places, registered.uri) as folder:
        assert score_alone(folder, files[:1])["model_version"].tolist() == ["xray-test/1"]
    assert not folder.exists()
    with (
        pytest.raises(RegistryError, match=r"^model models:/nobody/1 must be loadable"),
        fetched(places, "models:/nobody/1"),
    ):
        pass


def test_a_model_is_fetched_from_a_home_that_may_not_be_written(
    opened: Callable[[], Tracker], places: Places, network: Path, read_only: Callable[[Path], AbstractContextManager]
) -> None:
    registry = config.Registry(experiment="xray-test", model_name="xray-test")
    settings = Settings.of(IMAGES, Reading.at(0.5))
    registered = register(opened(), network, settings, Registration(registry, {}, "# the card"))
    with store_of(places).current():
        mlflow.pyfunc.load_model(registered.uri)  # after which MLflow's note of the version lies among the artifacts
    with read_only(places.home), fetched(places, registered.uri) as folder:
        assert "xray-test" in (folder / "registered_model_meta").read_text()
        assert (folder / "MLmodel").is_file()
    assert not folder.exists()


def children() -> list[int]:
    """The processes that this one started to score."""
    return [child.pid for child in psutil.Process().children() if str(ALONE) in child.cmdline()]
