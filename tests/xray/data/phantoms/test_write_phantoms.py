"""Phantoms: a data set in CoronaHack's layout, the same bytes for the same seed."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xray.data.phantoms.drawing import draw_chest
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.data.sources.coronahack import METADATA_NAME, SUMMARY_NAME, read_coronahack
from xray.data.sources.words.patient_ids import RULES, patient_ids
from xray.errors import DataError, StoreError


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "data"
    write_phantoms(folder, 160, seed=1, size=(48, 32))
    return folder


def test_the_reader_of_the_real_set_reads_it_without_a_complaint(small: Path) -> None:
    metadata = read_coronahack(small)
    assert len(metadata.rows) == 160
    assert metadata.rejects.empty
    assert metadata.notes == []
    assert (small / SUMMARY_NAME).exists()


def test_shares_are_those_of_the_real_set(small: Path) -> None:
    rows = read_coronahack(small).rows
    counts = rows.groupby(["official", "label"]).size().to_dict()
    assert counts == {
        ("train", "pneumonia"): 102,
        ("train", "normal"): 34,
        ("test", "pneumonia"): 15,
        ("test", "normal"): 9,
    }
    assert set(rows["subtype"]) == {"normal", "bacterial", "viral", "covid-19"}
    assert set(rows["source"]) == {"IM", "NORMAL2", "person", "foreign"}
    assert set(rows.loc[rows["source"] == "foreign", "official"]) == {"train"}


def test_patients_have_several_scans_and_stay_on_one_side(small: Path) -> None:
    rows = read_coronahack(small).rows
    assert rows.groupby("patient_id").size().max() >= 3
    assert (rows.groupby("patient_id")["official"].nunique() == 1).all()
    patients = [len(set(patient_ids(rows["image_id"].tolist(), rule))) for rule in RULES]
    assert patients[0] > patients[1] > patients[2]


def test_scans_are_jpegs_of_the_size_asked_for_most_gray_some_rgb(small: Path) -> None:
    modes = []
    for path in read_coronahack(small).rows["path"]:
        with Image.open(small / path) as image:
            assert (image.format, image.size) == ("JPEG", (48, 32))
            modes.append(image.mode)
    assert modes.count("RGB") == 20
    assert modes.count("L") == 140


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "same", 160, seed=1, size=(48, 32))
    assert contents(tmp_path / "same") == contents(small)
    write_phantoms(tmp_path / "other", 40, seed=2, size=(48, 32))
    assert not set(contents(tmp_path / "other").values()) & set(contents(small).values())


def test_a_larger_set_begins_with_the_smaller_one(small: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "first", 40, seed=1, size=(48, 32))
    scans = {path: digest for path, digest in contents(tmp_path / "first").items() if path.endswith(".jpeg")}
    assert len(scans) == 40
    assert scans.items() <= contents(small).items()


def test_the_fewest_scans_hold_every_class_on_each_side(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", 40, size=(32, 32))
    rows = read_coronahack(tmp_path / "data").rows
    assert rows.groupby(["official", "label"]).size().min() >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scans": 39}, "scans must be at least 40. Received: scans=39"),
        ({"scans": 40, "seed": -1}, "seed must be 0 or more. Received: seed=-1"),
        ({"scans": 40, "size": (31, 64)}, "must be 32 to 4096 pixels. Received: 31x64"),
        ({"scans": 40, "size": (64, 5000)}, "must be 32 to 4096 pixels. Received: 64x5000"),
    ],
)
def test_numbers_out_of_bounds_are_refused_and_nothing_is_written(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_phantoms(tmp_path / "data", **arguments)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="need a new or empty folder. Received: "):
        write_phantoms(tmp_path, 40, size=(32, 32))
    with pytest.raises(DataError, match="need a new or empty folder. Received: "):
        write_phantoms(tmp_path / "mine.txt", 40, size=(32, 32))


def test_a_disk_that_takes_no_more_leaves_nothing_behind(
    tmp_path: Path, disk_with_room_for: Callable[[int], AbstractContextManager[None]]
) -> None:
    with (
        disk_with_room_for(500),
        pytest.raises(StoreError, match="phantoms could not be written to .*: File too large"),
    ):
        write_phantoms(tmp_path / "data", 40, size=(64, 64))
    assert list((tmp_path / "data").iterdir()) == []


def test_killed_midway_it_is_given_again(tmp_path: Path) -> None:
    write = (
        "import sys; from pathlib import Path; from xray.data.phantoms.write_phantoms import write_phantoms as write; "
    )
    child = subprocess.Popen([sys.executable, "-c", f"{write}write(Path({str(tmp_path / 'data')!r}), 100_000)"])
    try:
        while not list(tmp_path.glob("data/*/train/*")):
            assert child.poll() is None
    finally:
        child.kill()
        child.wait()
    write_phantoms(tmp_path / "data", 40, size=(32, 32))
    assert len(list((tmp_path / "data").iterdir())) == 4


def test_the_metadata_index_has_gaps(small: Path) -> None:
    lines = (small / METADATA_NAME).read_text().splitlines()
    assert lines[50].startswith("49,")
    assert lines[51].startswith("51,")


def test_a_chest_has_dark_lungs_between_a_bright_middle_and_a_dark_background() -> None:
    scans = np.stack([draw_chest("normal", (0, patient), (0, patient), (64, 64)) for patient in range(12)])
    mean = scans.mean(axis=0)
    right_lung, left_lung, spine = mean[26:32, 17:22], mean[26:32, 44:49], mean[26:32, 30:34]
    assert mean[:4, :6].mean() < 60
    assert spine.mean() > right_lung.mean() + 50
    assert spine.mean() > left_lung.mean() + 50


def test_pneumonia_is_brighter_in_the_lungs_but_not_always() -> None:
    def brightness(subtype: str) -> np.ndarray:
        scans = [draw_chest(subtype, (0, patient), (0, patient), (64, 64)) for patient in range(40)]
        return np.array([scan[18:40, 14:24].mean() - scan[50:60, 24:40].mean() for scan in scans])

    normal, viral = brightness("normal"), brightness("viral")
    assert viral.mean() > normal.mean()
    assert viral.min() < normal.max()
