"""Image statistics: three numbers that show changes of the X-ray machine or of the processing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageStatistics:
    """How a normalized scan looks.

    Attributes:
        brightness: Mean gray, 0 to 255.
        contrast: Standard deviation of the gray, 0 to 127.5.
        sharpness: Variance of the Laplacian over the four neighbours, 0 for a blank scan (Pech-Pacheco et al., "Diatom
            autofocusing in brightfield microscopy", ICPR 2000, doi:10.1109/ICPR.2000.903548).
    """

    brightness: float
    contrast: float
    sharpness: float


def image_statistics(pixels: NDArray[np.uint8]) -> ImageStatistics:
    """Measure one scan.

    Args:
        pixels: uint8 (height, width), 0 to 255, at least 3 x 3.
    """
    gray = pixels.astype(np.float32)
    laplacian = 4 * gray[1:-1, 1:-1]
    for neighbours in (gray[:-2, 1:-1], gray[2:, 1:-1], gray[1:-1, :-2], gray[1:-1, 2:]):
        laplacian -= neighbours
    return ImageStatistics(float(gray.mean()), float(gray.std()), float(laplacian.var()))
