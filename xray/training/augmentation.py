"""Random changes of scans: framing, sharpness, gray, noise and a covered box, drawn for each (seed, epoch, scan) alone.

What a scan is turned into does not depend on its batch, on the number of threads or on what ran before, so that a
training that was killed and taken up again sees what an unkilled one sees.
"""

from collections.abc import Callable
from functools import cache

import keras
import numpy as np
from numpy.typing import NDArray

from xray.config import Augmentation, Images

GEOMETRY = 8
"""Columns of a drawn row that are its affine transform."""

COLUMNS = GEOMETRY + 12
"""Columns of a drawn row: the transform; gamma, contrast, brightness; a box's top, bottom, left, right and gray;
sharpness; noise, and the place of its window in the field that all scans take theirs from."""

FIELD = 1024
"""Rows and columns of the field of noise."""


def draw_transforms(
    augmentation: Augmentation, images: Images, seed: int, epoch: int, count: int
) -> NDArray[np.float32]:
    """Draw the changes of each training scan.

    Args:
        augmentation: Ranges.
        images: The size of a normalized scan.
        seed: The training's seed.
        epoch: Counted from 0.
        count: Number n of training scans.

    Returns:
        float32 (n, 20). First (a0, a1, a2, b0, b1, b2, 0, 0), which map a point (x, y) of the output to the input point
        (a0 x + a1 y + a2, b0 x + b1 y + b2), as `keras.ops.image.affine_transform` takes them. Then the power of gamma,
        the factor of contrast, the brightness to add, 0 to 255, and the covered box: top, bottom, left and right in
        shares of the size, and its gray, 0 to 255. Then what sharpening adds of the difference to a blurred scan, -1 to
        1, the noise's standard deviation, 0 to 255, and its window's place, twice 0 to 1.
    """
    zoom, turn, mirror = np.random.Generator(np.random.Philox(key=[seed, epoch])).random((count, 3)).T
    scale = 1.0 + augmentation.zoom * (2.0 * zoom - 1.0)
    angle = 2.0 * np.pi * augmentation.rotation * (2.0 * turn - 1.0)
    # A key of its own: what came first keeps its draws.
    more = np.random.Generator(np.random.Philox(key=[seed, epoch + 2**33])).random((count, 11)).T
    aspect, right, down, gamma, contrast, brightness = 2.0 * more[:6] - 1.0
    rows = affine_rows(
        images,
        scale,
        angle,
        augmentation.flip & (mirror < 0.5),
        np.exp(augmentation.aspect * aspect),
        augmentation.shift * np.stack([right * images.width, down * images.height]),
    )
    height, width = augmentation.erase * more[6:8]
    top, left = more[8] * (1.0 - height), more[9] * (1.0 - width)
    gray = [
        np.exp(augmentation.gamma * gamma),
        np.exp(augmentation.contrast * contrast),
        255.0 * augmentation.brightness * brightness,
    ]
    box = [top, top + height, left, left + width, 255.0 * more[10]]
    sharp, rough, down, right = np.random.Generator(np.random.Philox(key=[seed, epoch + 2**34])).random((count, 4)).T
    detail = [augmentation.sharpness * (2.0 * sharp - 1.0), 255.0 * augmentation.noise * rough, down, right]
    return np.concatenate([rows, np.stack([*gray, *box, *detail], axis=1)], axis=1).astype(np.float32)


def affine_rows(
    images: Images,
    scale: NDArray[np.float64],
    angle: NDArray[np.float64],
    mirrored: NDArray[np.bool_],
    aspect: NDArray[np.float64] | float = 1.0,
    moved: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float32]:
    """Write transforms about a scan's centre as the rows that `keras.ops.image.affine_transform` takes.

    Args:
        images: The size of a normalized scan.
        scale: float64 (n,), above 0; above 1 shows more than the scan, so it looks smaller.
        angle: float64 (n,), radians, counter-clockwise.
        mirrored: bool (n,), left and right.
        aspect: float64 (n,), above 0; above 1 shows more of the width than of the height.
        moved: float64 (2, n), pixels to the right and down by which the seen part lies off the centre.

    Returns:
        float32 (n, 8), the first columns of `draw_transforms`.
    """
    wide, high = scale * np.sqrt(aspect), scale / np.sqrt(aspect)
    side = np.where(mirrored, -1.0, 1.0)
    a0, a1 = side * wide * np.cos(angle), -wide * np.sin(angle)
    b0, b1 = side * high * np.sin(angle), high * np.cos(angle)
    x, y = (images.width - 1) / 2, (images.height - 1) / 2
    right, down = np.broadcast_to(moved, (2, len(scale)))
    zero = np.zeros_like(scale)
    rows = [a0, a1, x - a0 * x - a1 * y + right, b0, b1, y - b0 * x - b1 * y + down, zero, zero]
    return np.stack(rows, axis=1).astype(np.float32)


def changes(augmentation: Augmentation) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """Give the function that changes scans as `draw_transforms` drew; what is switched off is not computed.

    What lies beyond the border is mirrored in it, as the article's layers do.

    Args:
        augmentation: Ranges; only which of them are zero matters.

    Returns:
        From uint8 (n, height, width, 1), 0 to 255, and float32 (n, 20) to uint8 (n, height, width, 1), 0 to 255.
    """
    gray = any((augmentation.gamma, augmentation.contrast, augmentation.brightness))

    def apply(scans: keras.KerasTensor, drawn: keras.KerasTensor) -> keras.KerasTensor:
        framing, lit, box, detail = keras.ops.split(drawn, [GEOMETRY, GEOMETRY + 3, GEOMETRY + 8], axis=1)
        changed = _resampled(scans, framing)
        if augmentation.sharpness:
            changed = _sharpened(changed, detail[:, 0])
        if gray:
            changed = _regrayed(changed, lit)
        if augmentation.noise:
            changed = changed + detail[:, 1, None, None, None] * _noise(detail[:, 2:], scans.shape[1:3])
        if augmentation.erase:
            changed = _covered(changed, box)
        return _to_gray_levels(changed)

    return apply


def _resampled(scans: keras.KerasTensor, rows: keras.KerasTensor) -> keras.KerasTensor:
    return keras.ops.image.affine_transform(
        keras.ops.cast(scans, "float32"), rows, interpolation="bilinear", fill_mode="reflect"
    )


def _regrayed(scans: keras.KerasTensor, drawn: keras.KerasTensor) -> keras.KerasTensor:
    power, factor, added = (drawn[:, place, None, None, None] for place in range(3))
    lit = 255.0 * keras.ops.power(keras.ops.clip(scans / 255.0, 0.0, 1.0), power)
    mean = keras.ops.mean(lit, axis=(1, 2, 3), keepdims=True)
    return (lit - mean) * factor + mean + added


def _sharpened(scans: keras.KerasTensor, amount: keras.KerasTensor) -> keras.KerasTensor:
    """Add a share of what a blurred scan lacks; at -1 it is the blurred one, a pyramid five pixels wide."""
    blurred = keras.ops.pad(scans, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="symmetric")
    for _ in range(2):
        blurred = keras.ops.average_pool(blurred, 3, strides=1)
    return scans + amount[:, None, None, None] * (scans - blurred)


def _noise(place: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Cut each scan's window out of one field of normal noise, whose edges meet.

    To draw noise for each scan alone would take a generator a scan; a window at one of a million places is as good.
    """
    field = keras.ops.convert_to_tensor(_field())
    rows, columns = (
        (keras.ops.cast(FIELD * place[:, axis], "int32")[:, None] + keras.ops.arange(size[axis], dtype="int32")) % FIELD
        for axis in range(2)
    )
    return keras.ops.take(keras.ops.reshape(field, (-1,)), rows[:, :, None] * FIELD + columns[:, None, :])[..., None]


@cache
def _field() -> NDArray[np.float32]:
    return np.random.Generator(np.random.Philox(key=FIELD)).standard_normal((FIELD, FIELD), dtype=np.float32)


def _covered(scans: keras.KerasTensor, drawn: keras.KerasTensor) -> keras.KerasTensor:
    top, bottom, left, right, gray = (drawn[:, place, None, None, None] for place in range(5))
    height, width = scans.shape[1:3]
    down = keras.ops.reshape((keras.ops.arange(height, dtype="float32") + 0.5) / height, (1, height, 1, 1))
    across = keras.ops.reshape((keras.ops.arange(width, dtype="float32") + 0.5) / width, (1, 1, width, 1))
    inside = (down >= top) & (down < bottom) & (across >= left) & (across < right)
    return keras.ops.where(inside, gray, scans)


def _to_gray_levels(scans: keras.KerasTensor) -> keras.KerasTensor:
    return keras.ops.cast(keras.ops.round(keras.ops.clip(scans, 0, 255)), "uint8")
