"""`xray run` as a person meets it: interrupted, given again, given once more, and its model used on a file."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.system.conftest import Command, Ended, written_below

EPOCHS = 40
SETTINGS = {
    "images.height": 32,
    "images.width": 32,
    "training.epochs": EPOCHS,
    "training.patience": 0,
    "evaluation.bootstrap_draws": 100,
    "registry.model_name": "on-phantoms",
}
RUN = ["run", "phantoms", "--recipe", "quick", "--home", "home"]
RUN += [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]

OURS = re.compile(
    r"\d\d:\d\d:\d\d  (\d+ file digests, |pixel store \w+: \d+ decoded, |train: |validation: "
    r"|training continues after epoch |epoch \d+/\d+  loss "
    r"|[a-z][A-Za-z' :]*(, for \d+ s|: [\d,]+ of [\d,]+)?$)"
)
LAST = ["model", "not", "promote", "run", "report", "scores", "MLflow", "Prefect", "It"]

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def phantoms(xray: Command) -> Path:
    """Phantoms below the command's folder, drawn by the command."""
    assert xray("phantom", "phantoms", "--scans", "120", "--size", "64x64").code == 0
    return xray.folder / "phantoms"


@pytest.fixture(scope="module")
def interrupted(xray: Command, phantoms: Path) -> Ended:
    return xray(*RUN, seen=lambda printed: "epoch 3/" in printed)


@pytest.fixture(scope="module")
def finished(xray: Command, interrupted: Ended) -> Ended:
    return xray(*RUN)


@pytest.fixture(scope="module")
def again(xray: Command, finished: Ended) -> Ended:
    return xray(*RUN)


def epochs(ended: Ended) -> list[int]:
    return [int(number) for number in re.findall(rf"epoch (\d+)/{EPOCHS}  loss", ended.out)]


def last_lines(ended: Ended) -> dict[str, str]:
    """The lines below the table, by their first word."""
    below = ended.out.splitlines()[-len(LAST) :]
    return dict(line.split(maxsplit=1) for line in below)


def test_ctrl_c_ends_it_with_one_line(interrupted: Ended) -> None:
    assert interrupted.code == 130
    assert interrupted.err.startswith("xray: interrupted;")
    assert interrupted.err.count("\n") == 1
    assert 3 <= len(epochs(interrupted)) < EPOCHS


def test_given_again_it_goes_on_from_the_last_finished_epoch(interrupted: Ended, finished: Ended) -> None:
    assert finished.code == 0, finished.err
    assert "0 decoded, 120 reused" in finished.out
    done = len(epochs(interrupted))
    assert epochs(finished)[0] in {done + 1, done + 2}, "an epoch may have been saved and not yet printed"
    assert epochs(finished)[-1] == EPOCHS


def test_it_ends_with_a_table_and_where_to_look(finished: Ended) -> None:
    assert "accuracy" in finished.out
    found = last_lines(finished)
    assert list(found) == LAST
    assert found["model"] == "models:/on-phantoms/1"
    assert found["MLflow"].endswith("xray ui --home home")
    assert found["Prefect"].endswith("xray up --home home")


@pytest.mark.parametrize("name", ["interrupted", "finished", "again"])
def test_every_log_line_is_ours(name: str, request: pytest.FixtureRequest) -> None:
    before_the_table = request.getfixturevalue(name).out.partition("quick, on TEST")[0]
    assert [line for line in before_the_table.splitlines() if not OURS.match(line)] == []


@pytest.mark.parametrize("name", ["finished", "again"])
def test_nothing_goes_to_standard_error(name: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(name).err == ""


@pytest.mark.parametrize("name", ["interrupted", "finished", "again"])
def test_no_process_is_left(name: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(name).left == []


def test_once_more_it_trains_nothing_and_says_so(finished: Ended, again: Ended) -> None:
    assert again.code == 0, again.err
    assert epochs(again) == []
    first, second = last_lines(finished), last_lines(again)
    assert second["model"] == f"{first['model']} (reused)"
    assert (second["run"], second["scores"]) == (first["run"], first["scores"])


def test_the_model_gives_a_file_the_score_that_its_shard_had(xray: Command, finished: Ended, phantoms: Path) -> None:
    found = last_lines(finished)
    scores = pd.read_parquet(found["scores"]).drop_duplicates("image_id").set_index("image_id").head(3)
    files = [str(next(phantoms.glob(f"t*/{name}")).relative_to(xray.folder)) for name in scores.index]
    ended = xray("predict", *files, "--model", "models:/on-phantoms/1", "--json", "--home", "home")
    assert (ended.code, ended.err, ended.left) == (0, "", [])
    rows = json.loads(ended.out)
    assert [row["file"] for row in rows] == files
    assert [row["p_pneumonia"] for row in rows] == pytest.approx(list(scores["p_pneumonia"]), abs=1e-5)
    assert [row["decision"] for row in rows] == list(scores["decision"])
    assert {row["model_version"] for row in rows} == {"on-phantoms/1"}


def test_a_file_that_is_no_scan_has_its_reason_and_the_others_their_score(
    xray: Command, finished: Ended, phantoms: Path
) -> None:
    (xray.folder / "page.png").write_text("<html></html>")
    scan = next((phantoms / "test").iterdir())
    shutil.copy(scan, xray.folder / "a [scan].png")
    ended = xray("predict", "page.png", "a [scan].png", "--model", "models:/on-phantoms/1", "--home", "home")
    assert ended.code == 2
    assert ended.err.startswith("xray: each file must be a scan")
    assert ended.err.count("\n") == 1
    assert "not-an-image" in ended.out
    assert "a [scan].png" in ended.out


def test_nothing_was_written_outside_the_home_of_the_command(xray: Command, again: Ended) -> None:
    assert written_below(xray.user) == []
    assert {path.name for path in xray.folder.iterdir()} <= {
        "home", "user", "phantoms", "out", "err", "page.png", "a [scan].png",
    }  # fmt: skip
