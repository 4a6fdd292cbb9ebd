"""Phantoms laid out as real data sets are: CoronaHack's CSV, folders named by class, a table, DICOM."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from xray.data.phantoms.dicom_layout import class_folder, write_dataset_toml, write_dicom
from xray.data.phantoms.plan import Phantom
from xray.data.sources.coronahack import COLUMNS, METADATA_NAME, SUMMARY_NAME
from xray.labels import PNEUMONIA

JPEG_QUALITY = 90
RGB_EVERY = 8
CORONAHACK = "coronahack"
TABLE_NAME = "metadata.csv"

_CATEGORIES = {
    "n": ("Normal", "", ""),
    "b": ("Pnemonia", "bacteria", ""),
    "v": ("Pnemonia", "Virus", ""),
    "c": ("Pnemonia", "Virus", "COVID-19"),
}


def write_coronahack(folder: Path, phantoms: Iterable[Phantom], _: str) -> list[str]:
    """Write `train/` and `test/`, the metadata and its Summary; give what lies at the top, the metadata last."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for official in ("train", "test"):
        (folder / official).mkdir(parents=True)
    with open(folder / METADATA_NAME, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["", COLUMNS[0], "Label", "Dataset_type", "Label_2_Virus_category", "Label_1_Virus_category"])
        for phantom in phantoms:
            _save(phantom, folder / phantom.scan.official / phantom.name)
            label, first, second = _CATEGORIES[phantom.scan.letter]
            counts[label, first, second] += 1
            # The public CSV's unnamed index has gaps, too.
            number = phantom.index + phantom.index // 50
            table.writerow([number, phantom.name, label, phantom.scan.official.upper(), second, first])
    with open(folder / SUMMARY_NAME, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["", "Label", "Label_1_Virus_category", "Label_2_Virus_category", "Image_Count"])
        table.writerows([number, *key, count] for number, (key, count) in enumerate(sorted(counts.items())))
    return ["train", "test", SUMMARY_NAME, METADATA_NAME]


def write_class_folders(folder: Path, phantoms: Iterable[Phantom], finding: str) -> list[str]:
    """Write `train/NORMAL`, `train/PNEUMONIA` and the same below `test/`, as Kaggle's `chest_xray` has them."""
    for phantom in phantoms:
        place = folder / phantom.scan.official / class_folder(phantom, finding)
        place.mkdir(parents=True, exist_ok=True)
        _save(phantom, place / phantom.name)
    return ["train", "test", *write_dataset_toml(folder, finding)]


def write_table(folder: Path, phantoms: Iterable[Phantom], finding: str) -> list[str]:
    """Write `scans/` and `metadata.csv` with file, label, cause and patient; no split, so that TEST is drawn."""
    (folder / "scans").mkdir(parents=True)
    with open(folder / TABLE_NAME, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file_name", "label", "cause", "patient"])
        for phantom in phantoms:
            _save(phantom, folder / "scans" / phantom.name)
            normal = phantom.subtype == "normal"
            cause = "" if normal or finding != PNEUMONIA else phantom.subtype
            label = "No Finding" if normal else finding.capitalize()
            table.writerow([f"scans/{phantom.name}", label, cause, f"patient-{phantom.scan.patient + 1}"])
    return ["scans", *write_dataset_toml(folder, finding), TABLE_NAME]


LAYOUTS: dict[str, Callable[[Path, Iterable[Phantom], str], list[str]]] = {
    CORONAHACK: write_coronahack,
    "class-folders": write_class_folders,
    "table": write_table,
    "dicom": write_dicom,
}
"""Writers by the layout's name: each takes the finding and gives the names of what lies at the top."""


def _save(phantom: Phantom, path: Path) -> None:
    image = Image.fromarray(phantom.picture)
    rgb = phantom.index % RGB_EVERY == RGB_EVERY - 1
    (image.convert("RGB") if rgb else image).save(path, "JPEG", quality=JPEG_QUALITY)
