"""A synthetic data set in CoronaHack's layout: to try, to test and to show the pipeline without a real scan.

What scan number `index` is, who it shows and how it looks follows from (seed, index) alone, so a larger set with
the same seed begins with the smaller one. The plan repeats every `QUARTER` scans; four quarters together hold
136 TRAIN scans (102 pneumonia, 34 normal) and 24 TEST scans (15 pneumonia, 9 normal).
"""

import csv
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from xray.data.phantoms.drawing import draw_chest
from xray.data.sources.coronahack import COLUMNS, METADATA_NAME, SUMMARY_NAME
from xray.errors import DataError, StoreError, by_cause
from xray.files.atomic import draft_of

logger = logging.getLogger(__name__)

QUARTER = 40
FEWEST_SCANS = QUARTER
SIDES = (32, 4096)
"""Least and most width and height, in pixels."""

MARK = "covid-19-phantom-"
JPEG_QUALITY = 90
RGB_EVERY = 8

# A word a patient: the official split and the subtypes of the patient's scans (n normal, b bacterial, v viral,
# c COVID-19). In a real set, too, a `personN` may have scans of both causes.
_TRAIN = ("nnn n nn n n", "nn nnn n n nn")
_TRAIN_PNEUMONIA = ("bbbb b bb bv b bbb v vvv b vv v cc bb b", "bbb b bv bb b b v vv bbb vvv b c bb v v")
_TEST = ("n n bb v v", "nn n b b v")
_CATEGORIES = {
    "n": ("Normal", "", ""),
    "b": ("Pnemonia", "bacteria", ""),
    "v": ("Pnemonia", "Virus", ""),
    "c": ("Pnemonia", "Virus", "COVID-19"),
}
_SUBTYPES = {"n": "normal", "b": "bacterial", "v": "viral", "c": "covid-19"}


@dataclass(frozen=True)
class _Scan:
    official: str
    letter: str
    patient: int
    visit: int


def write_phantoms(folder: Path, scans: int, seed: int = 0, size: tuple[int, int] = (224, 224)) -> None:
    """Write a phantom data set: JPEG scans below `train/` and `test/`, the metadata and its Summary.

    The same arguments give the same bytes. Scans are written one by one, so memory stays flat; the set appears as
    a whole at the end, the metadata last.

    Args:
        folder: A new or an empty folder.
        scans: How many, at least `FEWEST_SCANS`; about 85 % of them TRAIN.
        seed: Of everything, 0 or more.
        size: Width and height in pixels, each within `SIDES`.

    Raises:
        DataError: The folder is not empty, or a number is out of bounds.
        StoreError: The folder could not be written; what was begun is removed.

    Example:
        >>> write_phantoms(Path("phantoms"), scans=200, seed=0)
    """
    if scans < FEWEST_SCANS:
        raise DataError(f"scans must be at least {FEWEST_SCANS}. Received: scans={scans}")
    if seed < 0:
        raise DataError(f"seed must be 0 or more. Received: seed={seed}")
    if not all(SIDES[0] <= side <= SIDES[1] for side in size):
        raise DataError(f"width and height must be {SIDES[0]} to {SIDES[1]} pixels. Received: {size[0]}x{size[1]}")
    # Inside the folder, for a mount point cannot be renamed over. What a killed process left there is removed.
    unfinished = draft_of(folder / "phantoms")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"phantoms need a new or empty folder. Received: {folder}")
    try:
        _write_all(unfinished, scans, seed, size)
        for name in ("train", "test", SUMMARY_NAME, METADATA_NAME):
            os.replace(unfinished / name, folder / name)
        unfinished.rmdir()
    except OSError as error:
        raise by_cause(StoreError, f"phantoms could not be written to {folder}: {error.strerror}", error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    logger.info("wrote %d phantoms to %s", scans, folder)


def has_phantoms(image_ids: Iterable[str]) -> bool:
    """Tell a data set with phantoms by their names, which a catalog keeps: each quarter holds one that says so.

    Args:
        image_ids: Of a data set's scans.
    """
    return any(name.startswith(MARK) for name in image_ids)


def _write_all(folder: Path, scans: int, seed: int, size: tuple[int, int]) -> None:
    for official in ("train", "test"):
        (folder / official).mkdir(parents=True)
    counts: Counter[tuple[str, str, str]] = Counter()
    with open(folder / METADATA_NAME, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["", COLUMNS[0], "Label", "Dataset_type", "Label_2_Virus_category", "Label_1_Virus_category"])
        for index in range(scans):
            scan = _plan(index)
            name = _name(index, scan)
            picture = draw_chest(_SUBTYPES[scan.letter], (seed, scan.patient), (seed, index), size)
            _save(picture, folder / scan.official / name, rgb=index % RGB_EVERY == RGB_EVERY - 1)
            label, first, second = _CATEGORIES[scan.letter]
            counts[label, first, second] += 1
            # The public CSV's unnamed index has gaps, too.
            table.writerow([index + index // 50, name, label, scan.official.upper(), second, first])
    with open(folder / SUMMARY_NAME, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["", "Label", "Label_1_Virus_category", "Label_2_Virus_category", "Image_Count"])
        table.writerows([number, *key, count] for number, (key, count) in enumerate(sorted(counts.items())))


def _save(picture: np.ndarray, path: Path, *, rgb: bool) -> None:
    image = Image.fromarray(picture)
    (image.convert("RGB") if rgb else image).save(path, "JPEG", quality=JPEG_QUALITY)


def _plan(index: int) -> _Scan:
    quarter, place = divmod(index, QUARTER)
    official, letter, patient, visit = _QUARTERS[quarter % len(_QUARTERS)][place]
    return _Scan(official, letter, quarter * QUARTER + patient, visit)


def _name(index: int, scan: _Scan) -> str:
    number = scan.patient + 1
    if scan.letter == "b":
        return f"person{number}_bacteria_{index + 1}.jpeg"
    if scan.letter == "v":
        return f"person{number}_virus_{index + 1}.jpeg"
    if scan.letter == "c":
        return f"{MARK}{number}-day{3 * scan.visit}.jpeg"
    # The third visit of a patient bears the other series' name, which only the merged rule sees through.
    series = "NORMAL2-IM" if (number % 2 == 0) != (scan.visit == 2) else "IM"
    return f"{series}-{number:04d}-{scan.visit + 1:04d}.jpeg"


def _mixed(kind: int, official_test: int) -> list[tuple[str, str, int, int]]:
    """Order a quarter's scans so that every stretch of it holds each subtype and split in about its share."""
    words = [("train", word) for word in f"{_TRAIN[kind]} {_TRAIN_PNEUMONIA[kind]}".split()]
    words += [("test", word) for word in _TEST[official_test].split()]
    scans = [
        (official, letter, patient, visit)
        for patient, (official, word) in enumerate(words)
        for visit, letter in enumerate(word)
    ]
    sizes = Counter((official, letter) for official, letter, *_ in scans)
    seen: Counter[tuple[str, str]] = Counter()
    placed = []
    for scan in scans:
        seen[scan[:2]] += 1
        placed.append(((seen[scan[:2]] - 0.5) / sizes[scan[:2]], scan))
    return [scan for _, scan in sorted(placed)]


_QUARTERS = (_mixed(0, 0), _mixed(1, 0), _mixed(0, 0), _mixed(1, 1))
