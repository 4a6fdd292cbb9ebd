"""Labelled scans that a model is measured on: one row a picture, each with a patient."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray.config import Workspace
from xray.errors import DataError, EvaluationError
from xray.external.answers import MeasuredVersion
from xray.external.evaluate_version import without_learnt
from xray.external.labelled_set import SPLIT, LabelledSet, read_labelled_set


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)).save(path)


def table(folder: Path, rows: list[str], header: str = "file_name,label,patient,sex") -> Path:
    (folder / "metadata.csv").write_text("\n".join([header, *rows, ""]))
    return folder


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Four pictures, of which the last is a copy of the first."""
    for number, seed in enumerate((0, 1, 2, 0)):
        picture(tmp_path / "scans" / f"{number}.png", seed)
    return tmp_path / "scans"


def read(folder: Path, tmp_path: Path) -> LabelledSet:
    return read_labelled_set([folder], Workspace(home=tmp_path / "home"))


def test_copies_count_once_and_splits_make_no_difference(scans: Path, tmp_path: Path) -> None:
    rows = ["0.png,normal,A,F", "1.png,pneumonia,B,M", "2.png,normal,C,F", "3.png,normal,A,F"]
    found = read(table(scans, rows), tmp_path)
    assert len(found.rows) == 3
    assert found.patients == 3
    assert set(found.rows["split"]) == {SPLIT}
    assert found.rows["sex"].tolist() == ["F", "M", "F"]
    assert any("1 files are copies of another one" in note for note in found.notes)


def test_files_of_one_content_and_two_labels_are_left_out(scans: Path, tmp_path: Path) -> None:
    rows = ["0.png,normal,A,F", "1.png,pneumonia,B,M", "2.png,normal,C,F", "3.png,pneumonia,A,F"]
    found = read(table(scans, rows), tmp_path)
    assert sorted(found.rows["image_id"]) == ["1.png", "2.png"]
    assert any("2 files with the same bytes have different labels" in note for note in found.notes)


def test_an_unknown_patient_is_one_of_its_own_and_told(scans: Path, tmp_path: Path) -> None:
    rows = ["0.png,normal", "1.png,pneumonia", "2.png,normal"]
    found = read(table(scans, rows, "file_name,label"), tmp_path)
    assert found.patients == 3
    assert any("3 of 3 scans have no known patient" in note for note in found.notes)


def test_the_digest_is_that_of_content_label_and_patient(scans: Path, tmp_path: Path) -> None:
    rows = ["0.png,normal,A,F", "1.png,pneumonia,B,M", "2.png,normal,C,F"]
    first = read(table(scans, rows), tmp_path).digest
    assert read(table(scans, rows[::-1]), tmp_path).digest == first
    assert read(table(scans, [*rows[:2], "2.png,pneumonia,C,F"]), tmp_path).digest != first


def test_no_scan_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there must be scans"):
        read(tmp_path / "empty", tmp_path)


def test_what_a_version_has_learnt_from_is_refused_or_left_out(scans: Path, tmp_path: Path) -> None:
    rows = ["0.png,normal,A,F", "1.png,pneumonia,B,M", "2.png,normal,C,F"]
    found = read(table(scans, rows), tmp_path)
    known = frozenset(found.rows["sha256"][:1])
    versions = [MeasuredVersion("m", "1", "d", None, {}, known), MeasuredVersion("m", "2", "e", None, {}, frozenset())]
    with pytest.raises(EvaluationError, match="--learnt leave-out measures it on the others. Received: 1 of 3"):
        without_learnt(found, versions, leave_out=False)
    left = without_learnt(found, versions, leave_out=True)
    assert len(left.rows) == 2
    assert left.digest != found.digest
    assert left.notes[-1] == "1 of 3 scans were left out, since a model has learnt from them"
    all_known = MeasuredVersion("m", "3", "f", None, {}, frozenset(found.rows["sha256"]))
    with pytest.raises(EvaluationError, match="no model has learnt from. Received: 3 of 3"):
        without_learnt(found, [all_known], leave_out=True)
    unknown = MeasuredVersion("m", "4", "g", None, {}, None)
    assert (
        "is not known: its training scans are not in this home"
        in without_learnt(found, [unknown], leave_out=False).notes[-1]
    )
