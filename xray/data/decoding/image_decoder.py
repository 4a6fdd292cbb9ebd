"""One scan's bytes to 8-bit gray, upright, at the stored size: before training and inside the served model alike.

What is said to be dark stays dark: transparency lies over black, as air does and as padding does. Colour profiles and
gamma chunks are not applied. Of a file with several pictures the first counts.

A JPEG much larger than what is stored is decoded at a half, a quarter or an eighth of its size, where its decoder does
the averaging: docs/decisions/0008-reduced-decoding.md has the measurement.
"""

import hashlib
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xray import config
from xray.data.decoding import bit_depth, damage, decode_limits
from xray.data.decoding.dicom_decoder import decode_dicom, is_dicom
from xray.data.decoding.memory_budget import MemoryBudget
from xray.data.decoding.resize import fit, least_size
from xray.data.decoding.scan_files import refused
from xray.data.decoding.scan_size import check_size
from xray.errors import ImageError

NORMALIZER_VERSION = 3
"""Raised with every change that can change a stored pixel, its digest or a rejection; a tighter bound on what no
scanner writes is none: docs/decisions/0013-bounds.md."""

REASONS = ("not-an-image", "unreadable", "too-small", "too-large", "unsupported", "blank")
"""Every `ImageError.reason`."""

LEAST_CONTRAST = 8
"""Gray levels between the darkest and the brightest hundredth of a scan, at least; what has fewer shows nothing."""

_DICOM_TIMES = 8
"""Bytes that decoding a DICOM file takes, for each of the file's: a guess for packed pixels, too much for others."""

AT_A_TIME = 2**30
"""Bytes that the threads of a process take for decoding at a time."""

_NO_SCANS = {
    b"<html": "an HTML page",
    b"<!doctype": "an HTML page",
    b"<?xml": "an XML file",
    b"%pdf": "a PDF file",
    b"pk\x03\x04": "a ZIP archive",
    b"gif8": "a GIF picture",
    b"bm": "a BMP picture",
    b"riff": "a WebP picture, a sound or a film",
}
"""By how a file begins, without blanks and in lower case."""

# The classes are called directly, not through Image.open, which warns at a limit of the whole process.
_READERS: dict[bytes, Callable[[BytesIO], ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"MM\0+": TiffImageFile,
}

# EXIF 2.32, tag 0x0112: what makes a picture upright; from 5 on, it turns rows into columns.
_UPRIGHT: dict[Any, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.T,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].T,
    8: np.rot90,
}
_TURNED = (5, 6, 7, 8)

_filters = threading.Lock()
_room = MemoryBudget(AT_A_TIME)


@dataclass(frozen=True)
class Decoded:
    """A scan as it was taken, or reduced.

    Attributes:
        pixels: uint8, 0 to 255, upright: (height, width), or a half, a quarter or an eighth of both, rounded up.
        width: Columns of the whole scan.
        height: Rows of the whole scan.
        scaling: How samples became 8-bit: `none`, `declared 0-4095`, `own range 12-3970` or `high byte`.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    scaling: str


@dataclass(frozen=True)
class Normalized:
    """A scan as it is stored and scored.

    Attributes:
        pixels: uint8 (images.height, images.width), 0 to 255.
        width: Columns of the upright original.
        height: Rows of the upright original.
        pixels_sha256: Digest of the original's size and its gray pixels as `decode` gave them: the same for the same
            pixels in one normalizer's hands, but for a JPEG that was reduced and a PNG or TIFF made of it.
        scaling: As in `Decoded`.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    pixels_sha256: str
    scaling: str


def decode(data: bytes, images: config.Images | None = None) -> Decoded:
    """Read an image file as 8-bit gray, upright.

    A JPEG's luminance is taken as it lies in the file. Samples of more than 8 bits are scaled by the depth that a PNG
    (sBIT) or a TIFF (MaxSampleValue, or BitsPerSample under 16) declares, else by the range of the scan's own samples:
    16 bits are what a 12-bit scan is kept in, so they declare nothing. A DICOM file says itself how it is shown.

    Args:
        data: A JPEG, PNG, TIFF or DICOM file's bytes; the file's name plays no part.
        images: What the scan is for: a JPEG is reduced while it is decoded, as far as `least_size` allows. None
            gives every scan at full size.

    Raises:
        ImageError: No usable scan; the reason is one of `REASONS`.
    """
    try:
        if is_dicom(data):
            return _dicom(data)
        image = _open(data)
        width, height = image.size
        check_size(width, height)
        if isinstance(image, JpegImageFile):
            turned = _orientation(image) in _TURNED
            image.draft("L", None if images is None else least_size(width, height, images, turned))
        with _room.lent(_bytes_to_decode(image, width * height)):
            # Pillow turns a TIFF upright while loading it, and reads its tags again to do so.
            with _without_warnings() if isinstance(image, TiffImageFile) else nullcontext():
                pixels, scaling = _pixels(image, data)
            orientation = _orientation(image)
            pixels = np.ascontiguousarray(_UPRIGHT.get(orientation, np.asarray)(pixels))
    except ImageError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise ImageError("too-large", _words(error)) from error
    # A broken file makes Pillow's readers raise nearly anything: OSError, SyntaxError, struct.error, KeyError, …
    except Exception as error:
        raise ImageError("unreadable", _words(error)) from error
    if orientation in _TURNED:
        width, height = height, width
    return Decoded(pixels, width, height, scaling)


def _dicom(data: bytes) -> Decoded:
    with _room.lent(_DICOM_TIMES * len(data)):
        pixels, scaling = decode_dicom(data)
    height, width = pixels.shape
    return Decoded(pixels, width, height, scaling)


def normalize(data: bytes, images: config.Images) -> Normalized:
    """Make an image file's bytes into the pixels that are stored, trained on and scored.

    Resizing is bilinear and antialiased. `stretch` gives both sides the wanted size; `pad` keeps the proportions and
    centres the scan on black.

    Args:
        data: A JPEG, PNG, TIFF or DICOM file's bytes.
        images: The size and the fit.

    Raises:
        ImageError: No usable scan; the reason is one of `REASONS`.
    """
    scan = decode(data, images)
    _check_contrast(scan.pixels)
    digest = hashlib.sha256(f"{scan.width}x{scan.height}:".encode())
    digest.update(scan.pixels.data)
    pixels = fit(scan.pixels, (scan.width, scan.height), images)
    return Normalized(pixels, scan.width, scan.height, digest.hexdigest(), scan.scaling)


def normalizer_digest(images: config.Images) -> str:
    """Name the normalizer: 16 hexadecimal digits over its version and configuration."""
    return config.digest_of({"version": NORMALIZER_VERSION, "images": images.model_dump(mode="json")})


def _open(data: bytes) -> ImageFile.ImageFile:
    for signature, reader in _READERS.items():
        if data.startswith(signature):
            with refused():
                decode_limits.check(data)
            _check_whole(data)
            with _without_warnings():
                return reader(BytesIO(data))
    raise ImageError("not-an-image", f"a scan must be a JPEG, PNG, TIFF or DICOM file. Received: {_kind(data)}")


def _kind(data: bytes) -> str:
    """Say what a file is that is no scan, and nothing of what it holds: rejects travel, and may be a patient's."""
    beginning = data[:64].lstrip().lower()
    known = (kind for signature, kind in _NO_SCANS.items() if beginning.startswith(signature))
    return next(known, f"{len(data):,} bytes of another kind" if data else "an empty file")


def _check_whole(data: bytes) -> None:
    """Refuse a damaged PNG, and a TIFF with half a directory: Pillow reads both when the pixels are there."""
    whole = True
    if data.startswith(b"\x89PNG"):
        damage.check_png(data)
    elif data.startswith((b"II*\0", b"MM\0*")):
        order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
        directory = int.from_bytes(data[4:8], order)
        whole = directory + 6 + 12 * int.from_bytes(data[directory : directory + 2], order) <= len(data)
    if not whole:
        raise ImageError("unreadable", f"a scan must be a whole file. Received: {len(data)} bytes, cut short")


def _check_contrast(pixels: NDArray[np.uint8]) -> None:
    """Refuse what shows nothing: a black, white or gray picture, an empty first page, transparency all over."""
    cumulated = np.cumsum(Image.fromarray(pixels).histogram())
    dark, bright = np.searchsorted(cumulated, (0.01 * cumulated[-1], 0.99 * cumulated[-1]))
    if bright - dark < LEAST_CONTRAST:
        raise ImageError(
            "blank", f"a scan must have at least {LEAST_CONTRAST} levels of gray. Received: {dark} to {bright} of 255"
        )


def _pixels(image: ImageFile.ImageFile, data: bytes) -> tuple[NDArray[np.uint8], str]:
    """Decode what was opened, as gray."""
    if isinstance(image, JpegImageFile) and image.layers in (1, 3):
        width, height = image.size
        # Not Pillow, which keeps libjpeg's warnings of damage to itself; the pixels are the same.
        try:
            gray = simplejpeg.decode_jpeg(
                data, "GRAY", fastdct=False, fastupsample=False, min_height=height, min_width=width, strict=True
            )
        except ValueError as error:
            raise ImageError("unreadable", f"a scan must be undamaged. Received: {_words(error)}") from error
        return gray[:, :, 0], "none"
    if isinstance(image, TiffImageFile):
        damage.check_tiff_pieces(image, data)
    image.load()
    return _gray(image, data)


def _bytes_to_decode(image: ImageFile.ImageFile, whole: int) -> int:
    """Guess from above what decoding takes: docs/decisions/0013-bounds.md compares it with what was measured."""
    width, height = image.size  # of a JPEG that is reduced, what is left
    if not isinstance(image, JpegImageFile):
        return 14 * width * height
    kept = "progressive" in image.info or image.layers > 1  # perhaps each colour in a scan of its own
    return 8 * width * height + (2 * image.layers * whole if kept else 0)


def _gray(image: ImageFile.ImageFile, data: bytes) -> tuple[NDArray[np.uint8], str]:
    if image.mode[0] in "IF":
        return bit_depth.to_eight_bits(image, data)
    scaling = "high byte" if bit_depth.bits_a_sample(image, data) > 8 else "none"
    if scaling == "high byte":
        bit_depth.require_high_bytes(image)
    if image.mode == "LAB":
        return np.asarray(image.getchannel(0)), scaling
    if image.mode != "1" and image.has_transparency_data:
        rgba = image.convert("RGBA")
        return np.asarray(ImageChops.multiply(rgba.convert("L"), rgba.getchannel("A"))), scaling
    direct = image.mode in ("1", "L", "RGB", "YCbCr")
    return np.asarray((image if direct else image.convert("RGB")).convert("L")), scaling


def _orientation(image: ImageFile.ImageFile) -> Any:
    if isinstance(image, TiffImageFile):
        return 1
    with _without_warnings():
        try:
            return image.getexif().get(0x0112)
        # Broken notes beside good pixels are no reason to lose a scan.
        except Exception:  # noqa: BLE001
            return None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Pillow's remarks on odd tags to itself; the filters belong to the whole process, so one thread at a time."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _words(error: BaseException) -> str:
    text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(str(error).split()))[:200]
    return text or type(error).__name__
