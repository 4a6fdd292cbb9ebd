"""Folders named by class, perhaps below `train`, `val` and `test`, as Keras and Kaggle's sets have them."""

from collections import Counter

import pandas as pd

from xray.data.sources.dataset_file import Dataset
from xray.data.sources.file_listing import list_files, printable, with_linked_folders
from xray.data.sources.metadata import MOST_REJECTED, ROW_COLUMNS, Metadata, plain_paths, reject
from xray.data.sources.words.label_words import COMMON, EVERY_OTHER_WORD, Label, LabelWords, canonical, with_common
from xray.data.sources.words.patients import patients_of
from xray.data.sources.words.scan_words import scan_names, split_word
from xray.errors import DataError, NamesError
from xray.files.s3 import DataPath

NAME = "class-folders"
"""The source's name where no `dataset.toml` gives one."""

NO_SCANS = (".csv", ".tsv", ".parquet", ".txt", ".md", ".json", ".toml", ".ini", ".db", ".xml", ".html", ".zip", ".gz")
SHOWN = 5


def read_class_folders(folder: DataPath, dataset: Dataset) -> Metadata:
    """Read a folder whose scans lie in folders named by class.

    Args:
        folder: Holds a folder a class, or folders named by split with these below them.
        dataset: What `dataset.toml` says, if anything.

    Raises:
        DataError: More than `MOST_REJECTED` of the scans lie in folders that no class names, or there are no scans.
        S3Error: The server cannot be reached or refuses.
    """
    listing = with_linked_folders(folder, list_files(folder, [dataset.scans]))
    words = LabelWords(with_common(dataset.labels))
    scans = sorted(path for path in plain_paths(listing) if _may_be_a_scan(path))
    read = {path: _label(path, words) for path in scans}
    _require_classes(folder, read)
    labelled = {path: label for path, label in read.items() if not label.reason}
    patients, notes = patients_of(list(labelled), dataset.patient_pattern)
    rows = pd.DataFrame(
        {
            "image_id": scan_names(list(labelled)),
            "path": list(labelled),
            "label": [label.label for label in labelled.values()],
            "subtype": [label.subtype for label in labelled.values()],
            "source": dataset.name or NAME,
            "patient_id": patients,
            "official": [_split(path) for path in labelled],
        },
        columns=ROW_COLUMNS,
        dtype="str",
    )
    rejects = [reject(path, label.reason, label.detail) for path, label in read.items() if label.reason]
    if (rows["official"] != "").any():
        without = rows["official"] == ""
        rejects += [reject(path, "no-split", "outside train, val and test") for path in rows.loc[without, "path"]]
        rows = rows[~without].reset_index(drop=True)
    return Metadata.of(rows, rejects, listing, notes)


def _may_be_a_scan(path: str) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))
    return not hidden and not path.lower().endswith(NO_SCANS)


def _label(path: str, words: LabelWords) -> Label:
    """Read the nearest folder that is named by a class."""
    folders = [part for part in path.split("/")[:-1] if not split_word(part)]
    for folder in reversed(folders):
        if words.knows(folder):
            return words.read(folder)
    nearest = folders[-1] if folders else ""
    if nearest and words.knows(EVERY_OTHER_WORD):
        return words.read(nearest)
    return Label(reason="unknown-label", detail=f"folder {printable(nearest) or 'none'}")


def _split(path: str) -> str:
    """Read the outermost folder that is named by a split."""
    return next(filter(None, map(split_word, path.split("/")[:-1])), "")


def _require_classes(folder: DataPath, read: dict[str, Label]) -> None:
    unknown = Counter(label.detail for label in read.values() if label.reason == "unknown-label")
    if not read:
        raise DataError(f"there must be scans in folders named by class. Received: none in {folder}")
    if unknown.total() > MOST_REJECTED * len(read):
        seen = ", ".join(f"{count} in {where}" for where, count in unknown.most_common(SHOWN))
        known = ", ".join(canonical(words[0]) for words in COMMON.values())
        raise NamesError(
            f"scans must lie in folders named by class ({known}), or dataset.toml must say what the folders mean. "
            f"Received: {folder}, with {unknown.total():,} of {len(read):,} scans elsewhere",
            f": {seen}",
        )
