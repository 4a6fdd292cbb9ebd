"""What DICOM files say of themselves: patient, view, sex, age and date, where no table does. No other tag is read."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import pandas as pd

from xray.data.decoding import scan_files
from xray.data.decoding.dicom_decoder import MAGIC, require_not_deflated, require_pydicom
from xray.data.sources.metadata import Metadata
from xray.data.sources.words.patients import doubted
from xray.data.sources.words.scan_words import age_of, month_of, sex_of, view_of
from xray.errors import ImageError, XrayError
from xray.files.s3 import DataPath, S3Path

if TYPE_CHECKING:
    from pydicom import Dataset

TAGS = {
    "patient_id": "PatientID",
    "view": "ViewPosition",
    "sex": "PatientSex",
    "age": "PatientAge",
    "date": "StudyDate",
}
BURNED_IN = "BurnedInAnnotation"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
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
    paths = [*metadata.rows["path"], *metadata.rejects["path"]]
    if isinstance(folder, S3Path):  # where a look at a file costs a request
        paths = [path for path in paths if not path.lower().endswith(PICTURES)]
    with ThreadPoolExecutor(THREADS) as threads:
        read = dict(zip(paths, threads.map(partial(_tags, folder), paths), strict=True))
    found = {path: tags for path, tags in read.items() if tags is not None}
    if not found:
        return metadata, False
    rows = metadata.rows.copy()
    found = {path: tags for path, tags in found.items() if path in set(rows["path"])}
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
        header = _header(folder / path)
        if header is None:
            return None
        said = {column: str(header.get(tag) or "").strip() for column, tag in TAGS.items()}
        burned_in = str(header.get(BURNED_IN) or "").upper() == "YES"
    except (XrayError, OSError) as error:
        if not isinstance(error, ImageError | OSError):
            raise
        return None
    except Exception:  # noqa: BLE001 - a broken file makes pydicom raise nearly anything; decoding will say so
        return Tags(dict.fromkeys(TAGS, ""), burned_in=False)
    said |= {"view": view_of(said["view"]), "sex": sex_of(said["sex"]), "age": age_of(said["age"])}
    said["date"] = month_of(said["date"])
    return Tags(said, burned_in)


def _header(path: DataPath) -> "Dataset | None":
    wanted = [*TAGS.values(), BURNED_IN]
    if isinstance(path, S3Path):
        with scan_files.content(path) as data:
            return _parsed(data, wanted)
    with scan_files.opened(path) as file:
        if file.read(MAGIC + 4)[MAGIC:] != b"DICM":
            return None
        file.seek(0)
        return _parsed(file.read(MOST_HEADER), wanted)


def _parsed(data: bytes, wanted: Sequence[str]) -> "Dataset | None":
    if data[MAGIC : MAGIC + 4] != b"DICM":
        return None
    require_pydicom()
    import pydicom

    require_not_deflated(data)
    return pydicom.dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=list(wanted))


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
