"""Who the phantoms are: which patients, with which findings, under which names.

What scan number `index` is, who it shows and how it looks follows from (seed, index) alone, so a larger set with
the same seed begins with the smaller one. The plan repeats every `QUARTER` scans; four quarters together hold
136 TRAIN scans (102 pneumonia, 34 normal) and 24 TEST scans (15 pneumonia, 9 normal).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray.data.phantoms.drawing import draw_chest

QUARTER = 40
MARK = "covid-19-phantom-"

# A word a patient: the official split and the subtypes of the patient's scans (n normal, b bacterial, v viral,
# c COVID-19). In a real set, too, a `personN` may have scans of both causes.
_TRAIN = ("nnn n nn n n", "nn nnn n n nn")
_TRAIN_PNEUMONIA = ("bbbb b bb bv b bbb v vvv b vv v cc bb b", "bbb b bv bb b b v vv bbb vvv b c bb v v")
_TEST = ("n n bb v v", "nn n b b v")
_SUBTYPES = {"n": "normal", "b": "bacterial", "v": "viral", "c": "covid-19"}


@dataclass(frozen=True)
class Scan:
    """What the plan says of a scan: the official split, a letter of the cause, whose it is and which visit."""

    official: str
    letter: str
    patient: int
    visit: int


@dataclass(frozen=True)
class Phantom:
    """A drawn scan.

    Attributes:
        index: Its number, from 0.
        name: As CoronaHack would name its file.
        scan: What the plan says of it.
        picture: uint8 (height, width), 0 to 255.
    """

    index: int
    name: str
    scan: Scan
    picture: NDArray[np.uint8]

    @property
    def subtype(self) -> str:
        """The cause of its pneumonia, or `normal`."""
        return _SUBTYPES[self.scan.letter]


def phantoms(scans: int, seed: int, size: tuple[int, int]) -> Iterator[Phantom]:
    """Draw phantoms one by one, so that memory stays flat.

    Args:
        scans: How many.
        seed: Of everything, 0 or more.
        size: Width and height in pixels.
    """
    for index in range(scans):
        scan = _plan(index)
        picture = draw_chest(_SUBTYPES[scan.letter], (seed, scan.patient), (seed, index), size)
        yield Phantom(index, _name(index, scan), scan, picture)


def _plan(index: int) -> Scan:
    quarter, place = divmod(index, QUARTER)
    official, letter, patient, visit = _QUARTERS[quarter % len(_QUARTERS)][place]
    return Scan(official, letter, quarter * QUARTER + patient, visit)


def _name(index: int, scan: Scan) -> str:
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
