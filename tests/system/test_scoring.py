"""`xray score` as a hospital meets it: delivered, delivered again under other names, killed, and given again."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.rights import leave_rights
from tests.system.conftest import Command, Ended, processes_of
from tests.system.waiting import until

SETTINGS = ["images.height=32", "images.width=32", "training.epochs=2", "evaluation.bootstrap_draws=100"]
RUN = ["run", "phantoms", "--recipe", "quick", "--home", "home"]
RUN += [part for setting in SETTINGS for part in ("--set", setting)]
SCORE = ["score", "inbox", "--output", "scores", "--home", "home"]
REJECTED = {
    "page.png": "not-an-image",
    "pipe.png": "unreadable",
    "self.png": "unreadable",
    "sparse.tif": "too-large",
}
DELIVERED_LATER = 2500
"""Pictures of a second delivery: enough that a kill after the first part finds it unfinished."""

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def xray(alone: Command, prefect_url: str) -> Command:
    """The command, told of a Prefect server; the first scoring of a home starts its own, as `alone`."""
    return alone.at(prefect_url)


@pytest.fixture(scope="module")
def inbox(xray: Command) -> Path:
    """The TEST phantoms of a home that has trained on the others, and odd items beside them.

    A page, a link to itself, a pipe, 3 GB of nothing, a scan whose name is Latin-1, and a file that is still being
    written.
    """
    assert xray("phantom", "phantoms", "--scans", "320", "--size", "64x64").code == 0
    assert xray(*RUN).code == 0
    inbox = xray.folder / "inbox"
    shutil.copytree(xray.folder / "phantoms" / "test", inbox / "monday")
    (inbox / "page.png").write_text("<html></html>")
    (inbox / "self.png").symlink_to("self.png")
    os.mkfifo(inbox / "pipe.png")
    (inbox / "sparse.tif").touch()
    os.truncate(inbox / "sparse.tif", 3_000_000_000)
    Image.effect_noise((64, 64), 50).save(inbox / os.fsdecode(b"r\xf6ntgen.png"))
    (inbox / "later.jpeg.part").write_bytes(b"half")
    return inbox


@pytest.fixture(scope="module")
def first(alone: Command, inbox: Path, begin: Callable[[Path], None]) -> Ended:
    begin(alone.folder / "home")
    return alone(*SCORE)


@pytest.fixture(scope="module")
def renamed(xray: Command, inbox: Path, first: Ended) -> Ended:
    scan = next((inbox / "monday").iterdir())
    shutil.copy(scan, inbox / "delivered twice.jpeg")
    scan.rename(inbox / "renamed.jpeg")
    return xray(*SCORE)


@pytest.fixture(scope="module")
def killed(xray: Command, inbox: Path, renamed: Ended) -> int:
    """Deliver many more, kill the run with -9 as soon as a part is finished; give the parts' rows."""
    generator = np.random.default_rng(0)
    for number in range(DELIVERED_LATER):
        Image.fromarray(generator.integers(0, 256, (64, 64), np.uint8)).save(inbox / f"later-{number:04d}.png")
    parts = xray.folder / "scores" / ".unfinished"
    with xray.start("killed", *SCORE) as run:
        until(lambda: run.alive() and list(parts.glob("*/part-*.parquet")), "a part is finished", 240, every=0.01)
        run.child.kill()
        run.child.wait()
        until(
            lambda: not any("model_process_main.py" in line for line in processes_of(run.child.pid)),
            "the scoring processes end",
            60,
        )
    return sum(len(pd.read_parquet(path)) for path in parts.glob("*/part-*.parquet"))


@pytest.fixture(scope="module")
def resumed(xray: Command, killed: int) -> Ended:
    return xray(*SCORE)


def rows(xray: Command, kind: str = "scores") -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((xray.folder / "scores").glob(f"{kind}-*.parquet"))])


def test_each_scan_is_scored_and_the_page_rejected(first: Ended, xray: Command) -> None:
    assert (first.code, first.err, first.left) == (0, "", [])
    assert "It is not a medical device." in first.out
    assert "Drift, run" in first.out
    assert r"r\xf6ntgen.png" in set(rows(xray)["image"])
    reasons = rows(xray, "rejects").set_index("image")["reason"]
    assert reasons.to_dict() == REJECTED


def test_the_scores_are_those_of_the_training(first: Ended, xray: Command) -> None:
    scores = rows(xray).drop_duplicates("sha256").set_index("sha256")
    (evaluated,) = (xray.folder / "home" / "data" / "trainings").glob("*/evaluation-*/scores.parquet")
    test = pd.read_parquet(evaluated).query("split == 'test'").drop_duplicates("sha256").set_index("sha256")
    assert set(test.index) <= set(scores.index)
    np.testing.assert_allclose(scores.loc[test.index, "p_pneumonia"], test["p_pneumonia"], atol=1e-5)
    assert (scores.loc[test.index, "decision"] == test["decision"]).all()


def test_a_renamed_and_a_twice_delivered_file_are_not_scored_again(renamed: Ended) -> None:
    assert (renamed.code, renamed.err) == (0, "")
    assert "no new scans: no file was written" in renamed.out
    files = re.search(r"files in the inbox\W+(\d+)", renamed.out)
    assert files and re.search(rf"not new: scored before, or a copy of another file\W+{files[1]}\b", renamed.out)


def test_killed_midway_nothing_is_lost_and_nothing_scored_twice(
    killed: int, resumed: Ended, xray: Command, inbox: Path
) -> None:
    assert 0 < killed < DELIVERED_LATER
    assert (resumed.code, resumed.err, resumed.left) == (0, "", [])
    assert re.search(rf"finished by an earlier run\W+{killed:,}\b", resumed.out)
    scores = rows(xray)
    assert scores["sha256"].is_unique
    delivered = [path for path in inbox.rglob("*") if path.is_file() and path.suffix != ".part"]
    assert len(scores) == len(delivered) - 3, "the page, the 3 GB, and the scan that was delivered twice"
    assert sorted(rows(xray, "rejects")["image"]) == sorted(REJECTED)


def test_other_pictures_raise_the_alarm(resumed: Ended) -> None:
    assert "│ alarm " in resumed.out, "noise is no chest"


def test_every_run_is_in_mlflow_once(resumed: Ended, xray: Command) -> None:
    from xray.config import Workspace
    from xray.tracking.store import store_of

    client = store_of(Workspace(home=xray.folder / "home")).client()
    experiment = client.get_experiment_by_name("xray-scoring")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == len({run.data.tags["xray.scoring"] for run in runs}) == 2
    assert sum(run.data.metrics["scans"] for run in runs) == len(rows(xray))


def test_in_a_home_that_may_not_be_written_a_scan_is_still_answered_and_scoring_is_refused(
    resumed: Ended, alone: Command, inbox: Path
) -> None:
    home, scan = alone.folder / "home", next(iter((inbox / "monday").iterdir()))
    modes = {path: path.stat().st_mode for path in (home, *home.rglob("*")) if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        predicted = alone("predict", str(scan), "--home", "home", before=leave_rights)
        refused = alone(*SCORE, before=leave_rights)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert (predicted.code, predicted.err) == (0, "")
    assert scan.name in predicted.out
    assert refused.code == 2
    assert refused.err.startswith("xray: --home must be a writable folder. Received: ")
    assert refused.err.count("\n") == 1
