"""Very many phantoms in little time: a few are drawn; the others are these, rolled, under other patients' names.

Drawing a phantom of 224 x 224 takes some 7 ms of the processor, rolling and writing one 0.4. A rolled one has other
pixels, so no audit finds it identical to another, and its file is as large.
"""

import csv
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from xray.data.phantoms.layouts import JPEG_QUALITY
from xray.data.sources.coronahack import METADATA_NAME

_PATIENT = re.compile(r"(person|IM-|phantom-)(\d+)")


def write_many(drawn: Path, folder: Path, scans: int) -> None:
    """Write a large set in the layout of a small one, with the same mix of labels; the metadata comes last.

    Args:
        drawn: A folder that `write_phantoms` made.
        folder: A new folder.
        scans: How many; at most as many copies of each drawn one as it has pixels.
    """
    with open(drawn / METADATA_NAME, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    name_at, split_at = header.index("X_ray_image_name"), header.index("Dataset_type")
    places = [(row[split_at].lower(), row[name_at]) for row in rows]
    for official, _ in places:
        (folder / official).mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        official, name = places[number]
        picture = np.asarray(Image.open(drawn / official / name))
        for copy in range(-(-(scans - number) // len(rows))):
            rolled = np.roll(picture, divmod(copy, picture.shape[1]), axis=(0, 1))
            path = folder / official / _renamed(name, copy * len(rows))
            Image.fromarray(rolled).save(path, "JPEG", quality=JPEG_QUALITY)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(len(rows))))
    with open(folder / METADATA_NAME, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(_lines(rows, name_at, scans))


def _lines(rows: list[list[str]], name_at: int, scans: int) -> Iterator[list[str]]:
    for number in range(scans):
        copy, place = divmod(number, len(rows))
        line = list(rows[place])
        line[0], line[name_at] = str(number), _renamed(line[name_at], copy * len(rows))
        yield line


def _renamed(name: str, later: int) -> str:
    """Give a scan to another patient, whose number is `later` by so much."""
    return _PATIENT.sub(lambda found: f"{found[1]}{int(found[2]) + later:0{len(found[2])}d}", name)
