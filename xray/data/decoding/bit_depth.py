"""Samples of more than 8 bits to 8: by the depth that the file declares, else by the scan's own range."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xray.data.decoding.sample_range import robust_range, stretched
from xray.errors import ImageError

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_TOP, _TIFF_FORMAT = 258, 262, 281, 339
_SIGNED = 2
_WHITE_IS_ZERO = 0
_BLOCK_ROWS = 256


def to_eight_bits(image: ImageFile.ImageFile, data: bytes) -> tuple[NDArray[np.uint8], str]:
    """Scale a loaded gray picture's samples to 0..255.

    A PNG declares its depth in sBIT, a TIFF in MaxSampleValue or in BitsPerSample under 16. 16 bits declare nothing:
    they are what a 12-bit scan is kept in. A declaration that the samples pass is not believed.

    Args:
        image: One channel of integers (mode I, I;16, …) or floats (mode F).
        data: The file it was read from.

    Returns:
        uint8 (height, width), 0 to 255, and what was done: `declared 0-4095` or `own range 12-3970`.

    Raises:
        ImageError: No sample is a finite number (`unreadable`).
    """
    samples = _as_declared(np.asarray(image), image)
    finite = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples.ravel()
    if finite.size == 0:
        raise ImageError("unreadable", "a scan must have finite samples. Received: none")
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    values, counts = _counted(finite)
    top = _declared_top(image, data, float(values[-1])) if values[0] >= 0 else None
    if top is not None:
        pixels = _stretched(samples, 0.0, float(top))
        return (255 - pixels if inverted else pixels), f"declared 0-{top}"
    low, high, padding = robust_range(values, counts)
    pixels = _stretched(samples, low, high)
    pixels = 255 - pixels if inverted else pixels
    pixels[np.isin(samples, values[padding])] = 0
    return pixels, f"own range {low:.6g}-{high:.6g}"


def require_high_bytes(image: ImageFile.ImageFile) -> None:
    """Refuse a picture of several 16-bit channels that leaves the upper half of its values empty.

    Pillow gives the high byte of such samples alone. 12-bit values, kept as they are, would come out nearly black.

    Args:
        image: Loaded, with 8 bits a sample left.

    Raises:
        ImageError: No sample is above half of the range (`unsupported`).
    """
    bands = [band for band in image.getbands() if band != "A"]
    brightest = max(int(np.asarray(image.getchannel(band)).max()) for band in bands)
    if brightest < 2**7:
        raise ImageError(
            "unsupported",
            "a 16-bit scan of several channels must use its whole range; one gray channel may use less. "
            f"Received: values up to {(brightest + 1) * 256 - 1:,} of 65,535",
        )


def _as_declared(samples: NDArray[Any], image: ImageFile.ImageFile) -> NDArray[Any]:
    """Read a TIFF's 32-bit samples as unsigned where the file says so; Pillow takes all of them as signed."""
    signed = _first(image.tag_v2.get(_TIFF_FORMAT)) == _SIGNED if isinstance(image, TiffImageFile) else True
    return samples if signed or samples.dtype != np.int32 else samples.view(np.uint32)


def _counted(samples: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Count how often each value occurs: the values ascending."""
    if samples.dtype == np.uint16:
        counts = np.bincount(samples, minlength=1)
        there = np.flatnonzero(counts)
        return there.astype(np.float64), counts[there]
    values, found = np.unique(samples, return_counts=True)
    return values.astype(np.float64), found.astype(np.int64)


def bits_a_sample(image: ImageFile.ImageFile, data: bytes) -> int:
    """Tell how many bits the file keeps a sample in."""
    if isinstance(image, PngImageFile):
        return data[24]
    if isinstance(image, TiffImageFile):
        return int(_first(image.tag_v2.get(_TIFF_BITS)) or 1)
    return 8


def _stretched(samples: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    pixels = np.empty(samples.shape, np.uint8)
    # In blocks, because float64 samples of a whole large scan take eight times its pixels.
    for start in range(0, len(samples), _BLOCK_ROWS):
        block = samples[start : start + _BLOCK_ROWS].astype(np.float64)
        pixels[start : start + _BLOCK_ROWS] = stretched(block, low, high)
    return pixels


def _declared_top(image: ImageFile.ImageFile, data: bytes, brightest: float) -> int | None:
    if isinstance(image, PngImageFile):
        bits = _png_significant_bits(data)
        if bits is None:
            return None
        # By the PNG specification samples are scaled to the full depth; scanners also write them as they are.
        return 2**bits - 1 if brightest < 2**bits else 2**16 - 1
    if isinstance(image, TiffImageFile):
        bits = bits_a_sample(image, data)
        top = _first(image.tag_v2.get(_TIFF_TOP)) or (2**bits - 1 if 8 < bits < 16 else None)
        return int(top) if top and brightest <= top else None
    return None


def _png_significant_bits(data: bytes) -> int | None:
    """Read the sBIT chunk, which Pillow passes over. It comes before the pixels."""
    place = 8
    while place + 8 < len(data) and (name := data[place + 4 : place + 8]) != b"IDAT":
        length = int.from_bytes(data[place : place + 4], "big")
        if name == b"sBIT" and length >= 1 and 0 < data[place + 8] <= 16:
            return data[place + 8]
        place += 12 + length
    return None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value
