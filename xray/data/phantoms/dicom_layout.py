"""Phantoms as DICOM films in folders named by class: 12 bits, a window, and people who do not exist."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from xray.data.decoding.dicom_decoder import require_pydicom
from xray.data.phantoms.plan import Phantom
from xray.data.sources.dataset_file import DATASET_FILE
from xray.labels import NORMAL, PNEUMONIA

STEP = 16
"""Stored values a level of gray: 12 bits for 8."""

INVERTED_EVERY = 3
SOURCE = "phantoms"
"""What `dataset.toml` calls them, since their names are hidden as a person's are."""

SITE_UID = "2.25."
"""The root of UIDs that are numbers: PS3.5, annex B.2."""


def write_dicom(folder: Path, phantoms: Iterable[Phantom], finding: str) -> list[str]:
    """Write `NORMAL/` and `PNEUMONIA/`, whose files' tags say the patient, sex, age, date and view.

    Raises:
        XrayError: The extra `dicom` is not installed.
    """
    require_pydicom()
    for phantom in phantoms:
        place = folder / class_folder(phantom, finding)
        place.mkdir(parents=True, exist_ok=True)
        _write(phantom, place / f"IMG{phantom.index + 1:05d}.dcm")
    write_dataset_toml(folder, finding, SOURCE)
    return [NORMAL.upper(), finding.upper(), DATASET_FILE]


def class_folder(phantom: Phantom, finding: str) -> str:
    """Name the folder of a phantom's class."""
    return NORMAL.upper() if phantom.subtype == NORMAL else finding.upper()


def write_dataset_toml(folder: Path, finding: str, source: str = "") -> list[str]:
    """Write what a reader has to be told: the source's name, and the words of a finding that are no common ones."""
    lines = [f'name = "{source}"'] if source else []
    lines += ["[labels]", f'{finding} = ["{finding}"]'] if finding != PNEUMONIA else []
    if lines:
        (folder / DATASET_FILE).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return [DATASET_FILE] if lines else []


def _write(phantom: Phantom, path: Path) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(f"{SITE_UID}{phantom.index + 1}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    number, visit = phantom.scan.patient + 1, phantom.scan.visit
    header.PatientName, header.PatientID = f"Phantom^Person{number}", f"PHANTOM-{number:05d}"
    header.PatientSex, header.PatientAge = "FM"[number % 2], f"{20 + number % 60:03d}Y"
    header.StudyDate, header.Modality, header.Manufacturer = f"2020{1 + visit % 12:02d}15", "DX", "phantom"
    header.ViewPosition, header.BurnedInAnnotation = ("PA", "AP")[number % 2], "NO"
    stored = phantom.picture.astype(np.uint16) * STEP
    inverted = phantom.index % INVERTED_EVERY == 0
    header.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    header.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    header.Rows, header.Columns = stored.shape
    header.SamplesPerPixel, header.PixelRepresentation = 1, 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.WindowCenter, header.WindowWidth = 2048, 4096
    header.PixelData = (4095 - stored if inverted else stored).astype("<u2").tobytes()
    header.save_as(path, enforce_file_format=True)
