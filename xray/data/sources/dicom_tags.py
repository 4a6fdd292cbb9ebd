"""What DICOM files say of themselves: patient, view, sex, age and date, where no table does. No other tag is read."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

import pandas as pd

from xray.data.decoding import scan_files
from xray.data.decoding.dicom_decoder import PREAMBLE, is_dicom, require_not_deflated, require_pydicom
from xray.data.sources.metadata import Metadata
from xray.data.sources.words.patients import doubted
from xray.data.sources.words.scan_words import age_of, month_of, sex_of, view_of
from xray.errors import ImageError
from xray.files.s3 import DataPath, S3Path

TAGS = {
    "patient_id": "PatientID",
    "view": "ViewPosition",
    "sex": "PatientSex",
    "age": "PatientAge",
    "date": "StudyDate",
}
BURNED_IN = "BurnedInAnnotation"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
NOT_THERE = ("no-file", "unsafe-name")
"""Why a source left out what is no file of its folder."""

THREADS = 16
MOST_HEADER = 2**20
"""Bytes at the beginning of a file in which its tags are looked for; the pixels come last."""


@dataclass(frozen=True)
class Tags:
    """What a file says; each is empty where it says nothing.

    Attributes:
        values: By the columns of `TAGS`.
        burned_in: Whether the file says that text is burned into its pixels.
    """

    values: Mapping[str, str]
    burned_in: bool


def with_dicom_tags(metadata: Metadata, folder: DataPath) -> tuple[Metadata, bool]:
    """Fill in what DICOM files say and the source does not.

    Args:
        metadata: The source's rows; others than DICOM files stay as they are.
        folder: The data folder.

    Returns:
        The rows with what was found, and whether any file is DICOM.

    Raises:
        XrayError: There are DICOM files, and the extra `dicom` is not installed.
        S3Error: A server cannot be reached or refuses.
    """
    rejects = metadata.rejects
    paths = [*metadata.rows["path"], *rejects.loc[~rejects["reason"].isin(NOT_THERE), "path"]]
    if isinstance(folder, S3Path):  # where a look at a file costs a request
        paths = [path for path in paths if not path.lower().endswith(PICTURES)]
    with ThreadPoolExecutor(THREADS) as threads:
        read = dict(zip(paths, threads.map(partial(_tags, folder), paths), strict=True))
    found = {path: tags for path, tags in read.items() if tags is not None}
    if not found:
        return metadata, False
    rows = metadata.rows.copy()
    found = {path: found[path] for path in rows["path"] if path in found}
    unknown = bool((rows["patient_id"] == "").all())
    for column in TAGS if unknown else [each for each in TAGS if each != "patient_id"]:
        said = rows["path"].map({path: tags.values[column] for path, tags in found.items()}).fillna("")
        own = rows[column] if column in rows else pd.Series("", index=rows.index)
        filled = own.where(own != "", said).astype("str")
        if column in rows or (filled != "").any():
            rows[column] = filled
    notes = [*metadata.notes, *_notes(rows, found, patients_from_tags=unknown)]
    return replace(metadata, rows=rows, notes=notes), True


def _tags(folder: DataPath, path: str) -> Tags | None:
    """Read a file's tags; None where it is no DICOM, or cannot be read, which decoding will say."""
    try:
        data = _beginning(folder / path)
    except (ImageError, OSError, ValueError):  # a NUL in a name is a ValueError
        return None
    if not is_dicom(data):
        return None
    require_pydicom()
    import pydicom

    try:
        require_not_deflated(data)
        header = pydicom.dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=[*TAGS.values(), BURNED_IN])
        said = {column: str(header.get(tag) or "").strip() for column, tag in TAGS.items()}
        burned_in = str(header.get(BURNED_IN) or "").upper() == "YES"
    except Exception:  # noqa: BLE001 - a broken file makes pydicom raise nearly anything; decoding will say so
        return Tags(dict.fromkeys(TAGS, ""), burned_in=False)
    said |= {"view": view_of(said["view"]), "sex": sex_of(said["sex"]), "age": age_of(said["age"])}
    said["date"] = month_of(said["date"])
    return Tags(said, burned_in)


def _beginning(path: DataPath) -> bytes:
    """Read what tells DICOM, and of DICOM the part with the tags."""
    if isinstance(path, S3Path):
        with scan_files.content(path) as data:
            return data[:MOST_HEADER]
    with scan_files.opened(path) as file:
        start = file.read(PREAMBLE)
        return start + file.read(MOST_HEADER) if is_dicom(start) else start


def _notes(rows: pd.DataFrame, found: Mapping[str, Tags], patients_from_tags: bool) -> list[str]:
    notes = []
    patients = [patient for patient in rows.loc[rows["path"].isin(list(found)), "patient_id"] if patient]
    if patients_from_tags:
        notes.append(f"patients by the tag PatientID: {len(set(patients)):,} of {len(found):,} scans")
        notes += doubted(patients, "the tag PatientID")
    if unknown := sum(not tags.values["view"] for tags in found.values()):
        notes.append(f"{unknown:,} scans have no view")
    if burned := sum(tags.burned_in for tags in found.values()):
        notes.append(f"{burned:,} scans say that text is burned into their pixels")
    return notes
