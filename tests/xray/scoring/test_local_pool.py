"""A model scores in processes of its own, with its own copy of `xray`, and none of them outlives what started it."""

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from xray import config
from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings, save
from xray.models.pyfunc import COLUMNS
from xray.models.register import Registration, register
from xray.scoring.local_pool import BATCH, fetched, score_isolated, scores
from xray.scoring.model_process import MAIN, ModelProcess, ModelProcessEnded
from xray.tracking.store import store_of
from xray.tracking.tracker import Tracker

pytestmark = pytest.mark.long(105)

SCANS = 2 * BATCH + 5
IMAGES = config.Images(height=32, width=32)


@pytest.fixture(scope="module")
def model(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyfunc whose own copy of `xray` is older: it turns the answers round, p becomes 1 - p, and says `label`."""
    folder = tmp_path_factory.mktemp("model") / "kept"
    save(folder, network, Settings.of(IMAGES, DecisionRule.at(0.5)))
    labels = folder / "code" / "xray" / "labels.py"
    changed = labels.read_text().replace("return 1.0 - np.asarray(prob", "return np.asarray(prob")
    assert changed != labels.read_text()
    labels.write_text(changed)
    for older in (folder / "pyfunc.py", folder / "code" / "xray" / "evaluation" / "decision" / "rule.py"):
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
    return score_isolated(model, files, lambda done, total: told.append((done, total))), told


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
    assert set(scored[0].columns) == {"p_pneumonia", "p_pneumonia_raw", *COLUMNS, "sha256"}
    half = ["normal" if p >= 0.5 else "pneumonia" for p in scored[0]["p_pneumonia"][:SCANS]]  # p is turned round
    assert scored[0]["likeliest_class"][:SCANS].tolist() == half


def test_two_children_give_what_one_gives(
    model: Path, files: list[Path], scored: tuple[pd.DataFrame, list[tuple[int, int]]]
) -> None:
    both = pd.concat(list(scores(model, files, children=2)), ignore_index=True)
    assert both["sha256"].tolist()[:SCANS] == scored[0]["sha256"].tolist()[:SCANS]
    np.testing.assert_allclose(both["p_pneumonia"], scored[0]["p_pneumonia"], atol=1e-6)


def test_no_file_needs_no_process(tmp_path: Path) -> None:
    assert score_isolated(tmp_path / "no model", []).empty


def test_a_model_that_does_not_load_is_one_line(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(RegistryError, match=r"^a model must run in a separate process. Received: [^\n]+$"):
        score_isolated(tmp_path, files)


def test_a_child_that_was_killed_costs_no_score_and_none_is_left(
    model: Path, files: list[Path], scored: tuple[pd.DataFrame, list[tuple[int, int]]]
) -> None:
    batches = scores(model, files, children=1)
    first = next(batches)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    rows = pd.concat([first, *batches], ignore_index=True)
    assert rows["sha256"].tolist() == scored[0]["sha256"].tolist()
    np.testing.assert_allclose(rows["p_pneumonia"], scored[0]["p_pneumonia"], atol=1e-6)
    assert children() == []


@pytest.fixture(scope="module")
def trapped(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pyfunc, kept by a version that dies of some files and never ends with others."""
    folder = tmp_path_factory.mktemp("trapped") / "kept"
    shutil.copytree(model, folder)
    images = folder / "code" / "xray" / "data" / "decoding" / "image_decoder.py"
    head = "def normalize(data: bytes, images: config.Images) -> Normalized:\n"
    trap = """    if data.endswith(b"die"):
        __import__("os").abort()
    while data.endswith(b"hang"):
        pass
"""
    assert head in images.read_text()
    images.write_text(images.read_text().replace(head, head + trap))
    return folder


def test_a_file_that_ends_the_child_is_a_reject_and_the_others_are_scored(
    trapped: Path, files: list[Path], scored: tuple[pd.DataFrame, list[tuple[int, int]]], tmp_path: Path
) -> None:
    trap = tmp_path / "die.png"
    trap.write_bytes(files[1].read_bytes() + b"die")
    rows = score_isolated(trapped, [files[0], trap, *files[1:SCANS]])
    assert rows["error"].notna().tolist() == [False, True] + [False] * (SCANS - 1)
    np.testing.assert_allclose(rows["p_pneumonia"].drop(1), scored[0]["p_pneumonia"][:SCANS], atol=1e-6)
    words = "unreadable: a scan must not crash or block the process that reads it. Received: its process ended with -6"
    assert rows["error"][1] == words
    assert rows.columns.tolist() == scored[0].columns.tolist()
    assert rows.loc[1].drop(["error", "threshold", "model_version", "sha256"]).isna().all()
    assert rows["sha256"][1] == hashlib.sha256(trap.read_bytes()).hexdigest()
    assert (rows["threshold"] == 0.5).all()
    assert children() == []


def test_a_child_that_does_not_answer_in_time_is_ended(trapped: Path, files: list[Path], tmp_path: Path) -> None:
    trap = tmp_path / "hang.png"
    trap.write_bytes(files[0].read_bytes() + b"hang")
    child = ModelProcess(trapped, 1, tmp_path)
    try:
        child.ask([trap])
        with pytest.raises(ModelProcessEnded, match=r"Received: no answer in time$"):
            child.answer(3.0)
    finally:
        child.close()
    assert children() == []


def test_a_model_that_dies_of_every_picture_is_no_file_s_fault(
    trapped: Path, files: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    shutil.copytree(trapped, folder)
    images = folder / "code" / "xray" / "data" / "decoding" / "image_decoder.py"
    images.write_text(images.read_text().replace('data.endswith(b"die")', "True"))
    with pytest.raises(RegistryError, match=r"^a model must run in a separate process. Received: .* ended with -6$"):
        score_isolated(folder, files[:2])
    assert children() == []


def test_what_an_old_model_does_not_bound_is_bounded_before_it(model: Path, files: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    shutil.copytree(model, folder)
    with (folder / "code" / "xray" / "data" / "bounds.py").open("a") as kept:
        kept.write("\n\ndef check(data):\n    pass\n")
    (tmp_path / "zeros.jpeg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100_000_000))
    (tmp_path / "sparse.tif").touch()
    os.truncate(tmp_path / "sparse.tif", 3_000_000_000)
    os.mkfifo(tmp_path / "pipe.png")
    odd = [tmp_path / name for name in ("zeros.jpeg", "sparse.tif", "pipe.png")]
    rows = score_isolated(folder, [files[0], *odd, files[1]])
    assert rows["p_pneumonia"].notna().tolist() == [True, False, False, False, True]
    assert [error.partition(". Received")[0] for error in rows["error"][1:4]] == [
        "unreadable: a JPEG's header must have at most 65,536 bytes between its parts",
        "too-large: a scan must have at most 134,217,728 bytes",
        "unreadable: a scan must be a file",
    ]
    assert rows["sha256"].isna().tolist() == [False, False, True, True, False]


def test_a_second_child_that_cannot_be_started_leaves_no_first(model: Path, files: list[Path]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as ends:
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]  # more than there are gaps below
        for descriptor in taken:
            ends.callback(os.close, descriptor)
        ends.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 9, hard))  # a start takes 7 and keeps 3
        with pytest.raises(RegistryError, match="Too many open files"):
            list(scores(model, files, children=2))
    assert children() == []


def test_a_child_ends_with_its_parent_even_while_it_loads(model: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-I", str(MAIN), str(model)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=60) == 0


def test_a_registered_model_is_fetched_and_knows_its_version(
    opened: Callable[[], Tracker], workspace: Workspace, network: Path, files: list[Path]
) -> None:
    registry = config.Registry(experiment="xray-test", model_name="xray-test")
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
    registered = register(opened(), network, settings, Registration(registry, {}, "# the card"))
    with fetched(workspace, registered.uri) as folder:
        assert score_isolated(folder, files[:1])["model_version"].tolist() == ["xray-test/1"]
    assert not folder.exists()
    with (
        pytest.raises(RegistryError, match=r"^model models:/nobody/1 must be loadable"),
        fetched(workspace, "models:/nobody/1"),
    ):
        pass


def test_a_model_is_fetched_from_a_home_that_may_not_be_written(
    opened: Callable[[], Tracker],
    workspace: Workspace,
    network: Path,
    read_only: Callable[[Path], AbstractContextManager],
) -> None:
    registry = config.Registry(experiment="xray-test", model_name="xray-test")
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
    registered = register(opened(), network, settings, Registration(registry, {}, "# the card"))
    with store_of(workspace).current():
        mlflow.pyfunc.load_model(registered.uri)  # after which MLflow's note of the version lies among the artifacts
    with read_only(workspace.home), fetched(workspace, registered.uri) as folder:
        assert "xray-test" in (folder / "registered_model_meta").read_text()
        assert (folder / "MLmodel").is_file()
    assert not folder.exists()


def children() -> list[int]:
    """The processes that this one started to score."""
    return [child.pid for child in psutil.Process().children() if str(MAIN) in child.cmdline()]
