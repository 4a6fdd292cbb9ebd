"""Random zoom, rotation and mirroring, drawn for each (seed, epoch, scan) alone.

What a scan is turned into does not depend on its batch, on the number of threads or on what ran before, so that a
training that was killed and taken up again sees what an unkilled one sees.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from xray.config import Augmentation, Images


def draw_transforms(
    augmentation: Augmentation, images: Images, seed: int, epoch: int, count: int
) -> NDArray[np.float32]:
    """Draw one affine transform for each training scan.

    Args:
        augmentation: Ranges. Zoom takes shares of the size and keeps the aspect ratio; rotation takes shares of a turn.
        images: The size of a normalized scan.
        seed: The training's seed.
        epoch: Counted from 0.
        count: Number n of training scans.

    Returns:
        float32 (n, 8), rows (a0, a1, a2, b0, b1, b2, 0, 0) that map a point (x, y) of the output to the input point
        (a0 x + a1 y + a2, b0 x + b1 y + b2), as `keras.ops.image.affine_transform` takes them.
    """
    zoom, turn, mirror = np.random.Generator(np.random.Philox(key=[seed, epoch])).random((count, 3)).T
    scale = 1.0 + augmentation.zoom * (2.0 * zoom - 1.0)
    angle = 2.0 * np.pi * augmentation.rotation * (2.0 * turn - 1.0)
    return affine_rows(images, scale, angle, augmentation.flip & (mirror < 0.5))


def affine_rows(
    images: Images, scale: NDArray[np.float64], angle: NDArray[np.float64], mirrored: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Write transforms about a scan's centre as the rows that `apply_transforms` takes.

    Args:
        images: The size of a normalized scan.
        scale: float64 (n,), above 0; above 1 shows more than the scan, so it looks smaller.
        angle: float64 (n,), radians, counter-clockwise.
        mirrored: bool (n,), left and right.

    Returns:
        float32 (n, 8), as of `draw_transforms`.
    """
    side = np.where(mirrored, -1.0, 1.0)
    a0, a1 = side * scale * np.cos(angle), -scale * np.sin(angle)
    b0, b1 = side * scale * np.sin(angle), scale * np.cos(angle)
    x, y = (images.width - 1) / 2, (images.height - 1) / 2
    zero = np.zeros_like(scale)
    return np.stack([a0, a1, x - a0 * x - a1 * y, b0, b1, y - b0 * x - b1 * y, zero, zero], axis=1).astype(np.float32)


def apply_transforms(scans: keras.KerasTensor, transforms: keras.KerasTensor) -> keras.KerasTensor:
    """Resample scans under their transforms, mirrored at the border as the article's layers do.

    Args:
        scans: uint8 (n, height, width, 1), 0 to 255.
        transforms: float32 (n, 8), from `draw_transforms`.

    Returns:
        uint8 (n, height, width, 1), 0 to 255.
    """
    moved = keras.ops.image.affine_transform(
        keras.ops.cast(scans, "float32"), transforms, interpolation="bilinear", fill_mode="reflect"
    )
    return keras.ops.cast(keras.ops.round(keras.ops.clip(moved, 0, 255)), "uint8")
