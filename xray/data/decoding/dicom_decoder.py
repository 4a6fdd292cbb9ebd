"""A DICOM file to 8-bit gray: modality, then VOI, then presentation, as PS3.3 C.11 and PS3.4 N.2 order them.

A projection X-ray has at most 2^16 stored values. So pydicom's own functions work on a table of these and not on the
pixels, which are looked up in it: the same numbers, at a fraction of the work.
"""

from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xray.data.decoding.sample_range import robust_range, stretched
from xray.data.decoding.scan_size import check_size
from xray.errors import ImageError, XrayError

if TYPE_CHECKING:
    from pydicom import Dataset

MAGIC = b"DICM"
PREAMBLE = 128 + len(MAGIC)
"""Bytes of any content, and then the magic: PS3.10, 7.1."""

ONE_PICTURE = {
    "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # digital X-ray, for processing
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
}
"""The storage classes whose files are read."""

LATERAL = ("LATERAL", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "L", "LAT")
"""What `ViewPosition` says of a film from the side: PS3.3 C.8.11.5, C.8.1.1 and what devices write."""

DEFLATED = b"1.2.840.10008.1.2.1.99"
META = 4096
"""Bytes at the beginning of a file that hold its transfer syntax: PS3.10, 7.1."""

GRAY = ("MONOCHROME1", "MONOCHROME2")
MISSING = "DICOM files need the extra dicom: pip install 'xray-pipeline[dicom]'. Received: a DICOM file, and no pydicom"


def is_dicom(data: bytes) -> bool:
    """Whether a file's bytes are DICOM's."""
    return data[PREAMBLE - len(MAGIC) : PREAMBLE] == MAGIC


def require_pydicom() -> None:
    """Refuse to go on without the extra `dicom`.

    Raises:
        XrayError: It is not installed.
    """
    if find_spec("pydicom") is None:
        raise XrayError(MISSING)


def require_not_deflated(data: bytes) -> None:
    """Refuse a file whose tags are deflated: a small one may inflate to any size, and films are not kept so.

    Raises:
        ImageError: `unsupported`.
    """
    if DEFLATED in data[:META]:
        raise _unsupported("a DICOM scan must not be deflated as a whole. Received: Deflated Explicit VR Little Endian")


def read_header(data: bytes) -> "Dataset":
    """Read a file's tags and its pixels as they are packed.

    Raises:
        ImageError: It is no film that is read here, or the extra is missing (`unsupported`), or it cannot be read.
    """
    if find_spec("pydicom") is None:
        raise _unsupported(MISSING)
    import pydicom
    from pydicom.errors import InvalidDicomError

    require_not_deflated(data)

    try:
        header = pydicom.dcmread(BytesIO(data))
        header.decode()
    except (InvalidDicomError, RecursionError, MemoryError) as error:
        raise ImageError("unreadable", f"a scan must be a whole DICOM file. Received: {error}") from error
    _require_film(header)
    return header


def decode_dicom(data: bytes) -> tuple[NDArray[np.uint8], str]:
    """Read a DICOM file as 8-bit gray.

    Stored values go through the modality LUT or rescale, then through the file's first VOI LUT or window. Without
    either, 8-bit values are taken as they are and deeper ones by `robust_range`. Air is dark in the end, whichever way
    the file keeps it. Pixels that the file calls padding are black.

    Args:
        data: The file's bytes.

    Returns:
        uint8 (rows, columns), 0 to 255, and what was done: `window`, `VOI LUT`, `none` or `own range 12-3970`.

    Raises:
        ImageError: As `read_header`, or the pixels cannot be decoded.
    """
    header = read_header(data)
    stored = _stored(header)
    bits = int(header.BitsStored)
    lowest = -(2 ** (bits - 1)) if header.PixelRepresentation else 0
    index = stored.astype(np.int32) - lowest if lowest else stored
    table, scaling = _table(header, lowest, index)
    if _inverted(header):
        table = 255 - table
    table[_padding(header, lowest, len(table))] = 0
    return table.take(index), scaling


def _table(header: "Dataset", lowest: int, index: NDArray[Any]) -> tuple[NDArray[np.uint8], str]:
    """Make the table from a stored value, less the lowest one, to gray before any inversion."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing

    size = 2 ** int(header.BitsStored)
    values = np.arange(lowest, lowest + size)
    meant = np.asarray(apply_modality_lut(values, header))
    if header.get("VOILUTSequence"):
        bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
        return stretched(np.asarray(apply_voi(meant.astype(np.int64), header), np.float64), 0, 2**bits - 1), "VOI LUT"
    if header.get("WindowWidth") is not None and header.get("WindowCenter") is not None:
        shown = np.asarray(apply_windowing(meant, header), np.float64)
        low, high = apply_windowing(np.array([-1e9, 1e9]), header)
        return (stretched(shown, low, high) if low < high else stretched(-shown, -low, -high)), "window"
    if size <= 2**8 and lowest == 0 and np.array_equal(meant, values):
        # What has fewer than 8 bits fills them, as an 8-bit picture does.
        return stretched(values.astype(np.float64), 0, size - 1), "none"
    counts = np.bincount(index.ravel(), minlength=size)
    free = counts.copy()
    free[_padding(header, lowest, size)] = 0
    order = np.argsort(meant, kind="stable")
    meant = meant.astype(np.float64)
    low, high, padding = robust_range(meant[order], (free if free.any() else counts)[order])
    table = stretched(meant, low, high)
    table[order[padding]] = 255 if _inverted(header) else 0
    return table, f"own range {low:.6g}-{high:.6g}"


def _require_film(header: "Dataset") -> None:
    """Refuse what is no single gray frontal film, by what it is."""
    from pydicom.uid import UID

    kind = str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")
    name = UID(kind).name or "a file of no class"
    if kind not in ONE_PICTURE:
        raise _unsupported(f"a DICOM scan must be CR, DX or a secondary capture. Received: {name}")
    if "PixelData" not in header:
        raise _unsupported(f"a DICOM scan must have pixels. Received: {name} without")
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise _unsupported(f"a DICOM scan must have one frame. Received: {header.NumberOfFrames}")
    if int(header.get("SamplesPerPixel", 1)) != 1 or header.get("PhotometricInterpretation") not in GRAY:
        raise _unsupported(f"a DICOM scan must be gray. Received: {header.get('PhotometricInterpretation')}")
    view = str(header.get("ViewPosition") or "").strip().upper()
    if view in LATERAL:
        raise _unsupported(f"a scan must be frontal. Received: ViewPosition {view}")
    check_size(int(header.get("Columns") or 0), int(header.get("Rows") or 0))
    if not 1 <= int(header.BitsStored) <= int(header.BitsAllocated) <= 16:
        bits = f"{header.BitsStored} bits in {header.BitsAllocated}"
        raise _unsupported(f"a DICOM scan must have at most 16 bits, all of them kept. Received: {bits}")


def _unsupported(detail: str) -> ImageError:
    return ImageError("unsupported", detail)


def _stored(header: "Dataset") -> NDArray[Any]:
    """Unpack the pixels, and refuse values beyond the bits that the file declares."""
    from xray.data.decoding import dicom_frames  # here, since it imports pydicom, an extra

    if header.file_meta.TransferSyntaxUID.is_compressed:
        dicom_frames.register()
        header.pixel_array_options(decoding_plugin=dicom_frames.LABEL)
    try:
        pixels: NDArray[Any] = header.pixel_array
    except (RuntimeError, NotImplementedError, ValueError) as error:
        packing = header.file_meta.TransferSyntaxUID.name
        if not header.file_meta.TransferSyntaxUID.is_compressed:
            raise ImageError("unreadable", f"a DICOM scan's pixels must be whole. Received: {packing}") from error
        raise _unsupported(
            f"a DICOM scan's pixels must be whole and in a packing that is read here. Received: {packing}, "
            f"{header.BitsStored} bits"
        ) from error
    bits = int(header.BitsStored)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.PixelRepresentation else (0, 2**bits - 1)
    if pixels.ndim != 2 or int(pixels.min()) < low or int(pixels.max()) > high:
        raise ImageError("unreadable", f"a DICOM scan's values must have {bits} bits. Received: {pixels.max()}")
    return pixels


def _inverted(header: "Dataset") -> bool:
    shape = str(header.get("PresentationLUTShape") or "").upper()
    return shape == "INVERSE" if shape in ("INVERSE", "IDENTITY") else header.PhotometricInterpretation == GRAY[0]


def _padding(header: "Dataset", lowest: int, values: int) -> slice:
    """Give the places in the table of the values that the file calls padding: PS3.3 C.7.5.1.1.2."""
    first = header.get("PixelPaddingValue")
    if first is None:
        return slice(0, 0)
    last = header.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first) - lowest, int(last) - lowest))
    return slice(max(0, low), min(values, high + 1)) if high >= 0 else slice(0, 0)
