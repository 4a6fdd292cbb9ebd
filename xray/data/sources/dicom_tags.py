"""What DICOM files say of themselves: patient, view, sex, age and date, where no table does. No other tag is read."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import pandas as pd

from xray.data.decoding import scan_files
from xray.data.decoding.dicom_decoder import MAGIC, require_pydicom
from xray.data.sources.metadata import Metadata
from xray.data.sources.words.patients import doubted
from xray.data.sources.words.scan_words import age_of, sex_of, view_of
from xray.errors import ImageError
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
ENDINGS = (".dcm", ".dicom", ".ima")
THREADS = 16


@dataclass(frozen=True)
class Tags:
    """What a file says; each is empty where it says nothing.

    Attributes:
        values: By the columns of `TAGS`.
        burned_in: Whether the file says that text is burned into its pixels.
    """

    values: Mapping[str, str]
    burned_in: bool


def may_be_dicom(path: str) -> bool:
    """Whether a file may be DICOM by its name: by its ending, or because it has none, as archives export them."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(ENDINGS) or "." not in name.lstrip(".")


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
    paths = [path for path in metadata.rows["path"] if may_be_dicom(path)]
    if not paths:
        return metadata, False
    with ThreadPoolExecutor(THREADS) as threads:
        read = dict(zip(paths, threads.map(partial(_tags, folder), paths), strict=True))
    found = {path: tags for path, tags in read.items() if tags is not None}
    if not found:
        return metadata, False
    rows = metadata.rows.copy()
    unknown = (rows["patient_id"] == "").all()
    for column in TAGS:
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
    except (ImageError, OSError):
        return None
    if header is None:
        return None
    said = {column: str(header.get(tag) or "").strip() for column, tag in TAGS.items()}
    said |= {"view": view_of(said["view"]), "sex": sex_of(said["sex"]), "age": age_of(said["age"])}
    said["date"] = f"{said['date'][:4]}-{said['date'][4:6]}" if len(said["date"]) >= len("YYYYMM") else ""
    return Tags(said, str(header.get(BURNED_IN) or "").upper() == "YES")


def _header(path: DataPath) -> "Dataset | None":
    wanted = [*TAGS.values(), BURNED_IN]
    if isinstance(path, S3Path):
        with scan_files.content(path) as data:
            return _parsed(data, wanted)
    with scan_files.opened(path) as file:
        if file.read(MAGIC + 4)[MAGIC:] != b"DICM":
            return None
    require_pydicom()
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted)
    except Exception:  # noqa: BLE001 - a broken file makes pydicom raise nearly anything; decoding will say so
        return None


def _parsed(data: bytes, wanted: Sequence[str]) -> "Dataset | None":
    if data[MAGIC : MAGIC + 4] != b"DICM":
        return None
    require_pydicom()
    import pydicom

    try:
        return pydicom.dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=list(wanted))
    except Exception:  # noqa: BLE001 - as above
        return None


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
