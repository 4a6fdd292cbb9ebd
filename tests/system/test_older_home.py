"""A home that an older commit's own code made opens with today's: its models answer, and what it holds stays."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from tests.system.conftest import PROJECT, Command, Ended
from tests.system.started import settings_of
from tests.system.typed import cheap

COMMIT = "e8c455ce1c89a3a4e567a464eb88ca017aa9902a"
"""Made the home: 2026-11-25, before figures belonged to a version and before digests lay beside files."""

SCANS = 60
RUN = f"run phantoms --recipe quick --home home {cheap('')}".split()
MODEL = "models:/xray-classifier/1"

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Older:
    """The older code, and what it answered in the home that it made.

    Attributes:
        code: Its folder.
        imported: Where each package lies that the same interpreter and environment import.
        predicted: What its `predict` said of version 1, a dictionary a file.
        files: The size and time of change of each file that today's code must take as it is.
    """

    code: Path
    imported: list[Path]
    predicted: list[dict[str, Any]]
    files: dict[str, tuple[int, int]]


def git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(PROJECT), *words], capture_output=True, text=True, check=False)


def code_of_the_commit(folder: Path) -> Path:
    """Unpack the older code; skip where the history that has it was not fetched."""
    if shutil.which("git") is None:
        pytest.skip(f"needs git, for the code of {COMMIT[:7]}")
    top = git("rev-parse", "--show-toplevel")
    if top.returncode != 0 or Path(top.stdout.strip()) != PROJECT.resolve():
        pytest.skip(f"needs a git checkout, for the code of {COMMIT[:7]}. git says: {top.stderr.strip()}")
    packed = folder / "code.zip"
    archived = git("archive", "--format=zip", f"--output={packed}", COMMIT)
    if archived.returncode != 0 and git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        pytest.skip(f"needs the history as far back as {COMMIT[:7]}, and this checkout is shallow")
    assert archived.returncode == 0, archived.stderr
    shutil.unpack_archive(packed, folder / "code")
    return folder / "code"


def kept(home: Path) -> dict[str, tuple[int, int]]:
    """List what is made once and for all: shards, catalogs' tables and networks."""
    found = [path for name in ("shard-*.parquet", "catalog.parquet", "*.keras") for path in (home / "data").rglob(name)]
    return {str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(found)}


def packages(home: Path) -> list[Path]:
    """List the code of each model that the home keeps."""
    return list((home / "mlruns" / "artifacts").rglob("code/xray"))


def done(ended: Ended) -> Ended:
    assert ended.code == 0, ended.out + ended.err
    assert ended.left == []
    return ended


@pytest.fixture(scope="module")
def older(xray: Command, prefect_url: str) -> Older:
    """A home with two trainings of the older code, the first of which is champion.

    The first command leaves Prefect's database in it; the others are told of a server.
    """
    code = code_of_the_commit(xray.folder)
    where = "import flows, tasks, xray; print(flows.__file__, tasks.__file__, xray.__file__, sep='\\n')"
    asked = subprocess.run(
        [sys.executable, "-c", where],
        cwd=xray.folder, env=settings_of(xray.user, PYTHONPATH=str(code)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    before = Command(xray.folder, code)
    done(before("phantom", "phantoms", "--scans", str(SCANS), "--size", "48x48"))
    done(before(*RUN))
    done(before.at(prefect_url)(*RUN, "--set", "training.seed=1"))
    done(before.at(prefect_url)("promote", "1", "--force", "--reason", "the first", "--home", "home"))
    answers = done(before("predict", *files(xray), "--model", MODEL, "--json", "--home", "home"))
    imported = [Path(line) for line in asked.stdout.split()]
    return Older(code, imported, json.loads(answers.out), kept(xray.folder / "home"))


def files(xray: Command) -> list[str]:
    return sorted(str(path.relative_to(xray.folder)) for path in (xray.folder / "phantoms" / "test").iterdir())


def ask(xray: Command, *words: str) -> Any:
    return json.loads(done(xray(*words, "--json", "--home", "home")).out)


def test_the_older_code_made_it(xray: Command, older: Older) -> None:
    assert [path.parents[1] for path in older.imported] == [older.code] * 3
    models = packages(xray.folder / "home")
    assert len(models) == 2
    for model in models:
        for module in model.rglob("*.py"):
            original = older.code / "xray" / module.relative_to(model)
            assert module.read_bytes() == original.read_bytes()


def test_its_versions_are_listed_with_their_figures(xray: Command, older: Older) -> None:
    second, first = ask(xray, "models")
    assert (first["version"], first["aliases"], first["verdict"]) == ("1", ["champion"], "promoted")
    assert (second["version"], second["aliases"]) == ("2", [])
    assert None not in [*first["figures"].values(), *second["figures"].values()]


def test_its_decision_is_told(xray: Command, older: Older) -> None:
    (decision,) = ask(xray, "history")
    assert (decision["verdict"], decision["after"], decision["forced"]) == ("promoted", "1", True)
    assert decision["reason"].startswith("the first")


def test_the_champion_answers_as_it_did(xray: Command, older: Older) -> None:
    answers = ask(xray, "predict", *files(xray))
    for today, then in zip(answers, older.predicted, strict=True):
        assert today["p_pneumonia"] == pytest.approx(then["p_pneumonia"], abs=1e-6)
        names = ["file", "decision", "threshold", "model"]
        assert [today[name] for name in names] == [then[name] for name in names]
    assert answers[0]["model"] == MODEL


def test_new_scans_are_scored_by_the_champion(xray: Command, older: Older) -> None:
    done(xray("score", "phantoms/test", "--output", "scores", "--home", "home"))
    (written,) = (xray.folder / "scores").glob("scores-*.parquet")
    scores = pd.read_parquet(written).set_index("image")["p_pneumonia"]
    expected = {Path(each["file"]).name: each["p_pneumonia"] for each in older.predicted}
    assert dict(scores) == pytest.approx(expected, abs=1e-6)


def test_a_scan_is_explained(xray: Command, older: Older) -> None:
    (answer,) = [each for each in older.predicted if each["file"] == files(xray)[0]]
    printed = done(xray("explain", answer["file"], "--output", "maps", "--home", "home")).out
    assert f"{answer['p_pneumonia']:.4f}" in printed
    (drawn,) = (xray.folder / "maps").iterdir()
    with Image.open(drawn) as picture:
        assert min(picture.size) > 100


def test_its_two_runs_are_compared(xray: Command, older: Older) -> None:
    found = ask(xray, "compare", "xray-classifier/1", "xray-classifier/2")
    (differs,) = found["differing"]
    assert (differs["name"], differs["values"]) == ("training.seed", ["0", "1"])
    (compared,) = found["compared"]
    assert compared["scans"] == len(older.predicted)
    assert "auc" in compared["figures"]


def test_the_same_run_decodes_in_todays_way_and_leaves_what_is_there(xray: Command, older: Older) -> None:
    """The normalizer is another one by now (docs/decisions/0014): scans are decoded and a network is trained anew."""
    printed = done(xray(*RUN)).out
    assert f"{SCANS} decoded, 0 reused" in printed
    assert "models:/xray-classifier/3" in printed
    now = kept(xray.folder / "home")
    assert {path: now.get(path) for path in older.files} == older.files
    assert len(packages(xray.folder / "home")) == 3
    assert ask(xray, "models")[-1]["aliases"] == ["champion"], "the older version"


def test_given_again_it_reuses_what_is_there(xray: Command, older: Older) -> None:
    printed = done(xray(*RUN)).out
    assert f"0 decoded, {SCANS} reused" in printed
    assert re.search(r"^model +models:/xray-classifier/3 \(reused\)$", printed, re.MULTILINE)
    assert not re.search(r"epoch \d+/\d+", printed)
