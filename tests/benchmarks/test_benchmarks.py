"""Each benchmark runs alone at its tiniest size, and answers in rows; how fast anything was plays no part."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long(150)]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUESTIONS = {
    "normalize": ["normalize phantoms of 128 x 96", "normalize phantoms of 224 x 224"],
    "feed": [
        f"feed batches of 300 px, {when}" for when in ("first epoch", "later epochs", "later epochs, rival caches")
    ],
    "train_step": ["training step of 32 scans, article's network"],
    "score": ["score a scan of 64 x 48, once loaded", "score 70 scans of 64 x 48, with start"],
    "cluster": [f"{verb} 70 phantoms of 128 x 96, two workers" for verb in ("normalize", "score")],
    "startup": ["xray --help; prefect --help", "import flows.pipeline; import prefect"],
    "growth": [
        f"{step}, a scan of 160; of 80" for step in ("clean", "normalize", "audit and split", "one streamed epoch")
    ],
    "time_to_auc": ["time to validation AUC 0.99"],
}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "XRAY_BENCH_DATA"} | settings
    command = [sys.executable, *arguments, "--size", "tiny", "--rounds", "1"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def rows_of(script: str, folder: Path, **settings: str) -> list[dict[str, Any]]:
    where = "--work", str(folder), "--rows", str(folder / "rows.json")
    done = run(str(BENCHMARKS / f"{script}.py"), *where, **settings)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())
    return rows


def check(rows: list[dict[str, Any]], questions: list[str]) -> None:
    assert [row["question"] for row in rows] == questions
    for row in rows:
        assert math.isfinite(row["ours"]) and row["ours"] > 0
        assert math.isfinite(row["rival"]) and row["rival"] > 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("script", QUESTIONS)
def test_a_script_answers_its_questions(script: str, tmp_path: Path) -> None:
    check(rows_of(script, tmp_path), QUESTIONS[script])


@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_second_run_is_timed(tmp_path: Path, prefect_url: str) -> None:
    rows = rows_of("rerun", tmp_path, PREFECT_API_URL=prefect_url)
    check(rows, ["xray run again", "xray run again, our own code alone"])


@pytest.mark.system
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("fault", "number"), [("damage", 10), ("kill", 3)])
def test_a_fault_costs_nothing(fault: str, number: int, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "faults.py"), fault, "--size", "tiny", "--rows"]
    done = subprocess.run([*command, str(tmp_path / "rows")], capture_output=True, text=True, check=False)
    rows = json.loads((tmp_path / "rows").read_text())
    assert len(rows) == number
    assert [row for row in rows if not row["well"]] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.system
@pytest.mark.timeout(900)
def test_an_inbox_with_hostile_files_is_timed(tmp_path: Path, prefect_url: str) -> None:
    (row,) = rows_of("hostile", tmp_path, PREFECT_API_URL=prefect_url)
    asked = re.fullmatch(r"score 40 phantoms beside (\d+) hostile files", row["question"])
    assert asked is not None and int(asked[1]) >= 200
    check([row], [row["question"]])
    assert row["remark"].startswith("40 phantoms scored, ")
    assert list((tmp_path / "hostile").glob("*")) == [], "nothing hostile is left"


def test_one_table_holds_all_answers_the_machine_and_what_gave_none(tmp_path: Path) -> None:
    (tmp_path / "feed-pixels").write_bytes(b"")  # where feeding wants a folder
    done = run(str(BENCHMARKS), "--only", "normalize", "feed", "--work", str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(word in lines[1] for word in ("question", "ours", "rival", "ratio", "wanted"))
    assert [question for question in QUESTIONS["normalize"] if question in done.stdout] == QUESTIONS["normalize"]
    assert "cores" in done.stdout and "pillow" in done.stdout
    assert any(line.startswith("feed gave no answer: ") for line in lines)
