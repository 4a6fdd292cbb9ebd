"""The size that a scan is stored at: how large it comes out, how far it may be reduced before, and the resizing."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray import config

LEAST_REDUCED = 1.5
"""How many times the size it will have a JPEG is decoded at, at least: what is left to average hides the reduction."""


def fitted_size(width: int, height: int, images: config.Images) -> tuple[int, int]:
    """Give the width and height that a scan has once it is stored, padding apart.

    Args:
        width: Columns of the upright scan, at least 1.
        height: Rows of the upright scan, at least 1.
        images: The size and the fit.
    """
    if images.fit == "stretch":
        return images.width, images.height
    factor = min(images.width / width, images.height / height)
    return min(images.width, max(1, round(width * factor))), min(images.height, max(1, round(height * factor)))


def least_size(width: int, height: int, images: config.Images, turned: bool) -> tuple[int, int]:
    """Give the width and height, as they lie in a file, that a scan may be reduced to.

    Args:
        width: Columns in the file, at least 1.
        height: Rows in the file, at least 1.
        images: The size and the fit.
        turned: Whether the file's rows are columns of the upright scan.
    """
    if turned:
        return least_size(height, width, images, turned=False)[::-1]
    fitted_width, fitted_height = fitted_size(width, height, images)
    return math.ceil(LEAST_REDUCED * fitted_width), math.ceil(LEAST_REDUCED * fitted_height)


def fit(pixels: NDArray[np.uint8], size: tuple[int, int], images: config.Images) -> NDArray[np.uint8]:
    """Resize a scan, bilinear and antialiased, and centre it on black where its proportions are kept.

    Args:
        pixels: uint8 (rows, columns), 0 to 255, upright.
        size: Width and height that the scan was taken at, which decide its proportions.
        images: The size and the fit.

    Returns:
        uint8 (images.height, images.width), 0 to 255.
    """
    width, height = fitted_size(*size, images)
    resized = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    canvas = np.zeros((images.height, images.width), np.uint8)
    top, left = (images.height - height) // 2, (images.width - width) // 2
    canvas[top : top + height, left : left + width] = resized
    return canvas
