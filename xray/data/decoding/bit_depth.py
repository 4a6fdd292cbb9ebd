"""Samples of more than 8 bits to 8: by the depth that the file declares, else by the scan's own range."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xray.errors import ImageError

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_TOP = 258, 262, 281
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
    samples = np.asarray(image)
    finite = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
    if finite.size == 0:
        raise ImageError("unreadable", "a scan must have finite samples. Received: none")
    low, high = float(finite.min()), float(finite.max())
    scaling = f"own range {low:.6g}-{high:.6g}"
    top = _declared_top(image, data, high) if low >= 0 else None
    if top is not None:
        low, high, scaling = 0.0, float(top), f"declared 0-{top}"
    pixels = _stretched(samples, low, high)
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    return (255 - pixels if inverted else pixels), scaling


def bits_a_sample(image: ImageFile.ImageFile, data: bytes) -> int:
    """Tell how many bits the file keeps a sample in."""
    if isinstance(image, PngImageFile):
        return data[24]
    if isinstance(image, TiffImageFile):
        return int(_first(image.tag_v2.get(_TIFF_BITS)) or 1)
    return 8


def _stretched(samples: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    factor = 255.0 / (high - low) if high > low else 0.0
    pixels = np.empty(samples.shape, np.uint8)
    # In blocks, because float64 samples of a whole large scan take eight times its pixels.
    for start in range(0, len(samples), _BLOCK_ROWS):
        block = samples[start : start + _BLOCK_ROWS].astype(np.float64)
        block = np.nan_to_num(block, nan=low, posinf=high, neginf=low)
        pixels[start : start + _BLOCK_ROWS] = np.rint(np.clip((block - low) * factor, 0, 255))
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
