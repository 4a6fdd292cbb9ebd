"""DICOM files that tests write: one film, with whatever tags and packing a test asks for."""

from io import BytesIO
from typing import Any

import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def film(pixels: NDArray[Any], bits: int = 12, syntax: str = ExplicitVRLittleEndian, **tags: Any) -> bytes:
    """Write a film of stored values, signed where their dtype is; further tags by their keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(tags.get("SOPClassUID", DX))
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.Rows, header.Columns = pixels.shape[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = pixels.dtype.itemsize * 8
    header.BitsStored, header.HighBit = bits, bits - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    header.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(header, name, value)
    if syntax != ExplicitVRLittleEndian:
        _pack(header, syntax)
    return packed(header)


def packed(header: Dataset) -> bytes:
    """Give a file's bytes."""
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()


def frame_of(data: bytes) -> bytes:
    """Give the one packed frame of a file."""
    frame: bytes = next(generate_frames(pydicom.dcmread(BytesIO(data)).PixelData, number_of_frames=1))
    return frame


def refilled(data: bytes, syntax: str, frame: bytes) -> bytes:
    """Put another packed frame into a file."""
    header = pydicom.dcmread(BytesIO(data))
    header.PixelData = encapsulate([frame])
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = UID(syntax)
    return packed(header)


def lut(first: int, values: NDArray[Any], bits: int = 16) -> Dataset:
    """Make an item of a LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.LUTData = values.astype("<u2").tobytes()
    item["LUTDescriptor"].VR = "US"
    return item


def _pack(header: FileDataset, syntax: str) -> None:
    """Have GDCM pack the pixels, as most archives do."""
    import tempfile
    from pathlib import Path

    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        plain, other = Path(folder, "plain.dcm"), Path(folder, "packed.dcm")
        plain.write_bytes(packed(header))
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(other))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        made = pydicom.dcmread(other)
    header.PixelData = made.PixelData
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = UID(syntax)
