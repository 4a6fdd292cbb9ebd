"""Several views of one scan, and a network that averages its answers to them."""

import keras
import numpy as np

from xray.config import Images
from xray.training.augmentation import affine_rows

SCALES = (1.0, 1.0, 0.9, 1.1)
ASPECTS = (0.25, -0.25, 0.0, 0.0)
"""What the mirrored views see: more of the width, more of the height, less of both, more of both. Logarithms."""


def averaged_over_views(network: keras.Model) -> keras.Model:
    """Make a network that looks at each scan five times and averages what another one answers.

    The views are the scan as it is, and four mirrored ones framed in other ways; what lies beyond the border is
    mirrored in it, as in training. A threshold then depends less on how a scan was framed:
    docs/decisions/0009-default-recipe.md has the measurement. It takes five times as long.

    Args:
        network: uint8 (n, height, width, 1), 0 to 255, in; float32 (n, k), 0 to 1, out. Its weights are shared.

    Returns:
        A network of the same input and output, whose layers are `network` and the average.
    """
    height, width, _ = network.input_shape[1:]
    count = len(SCALES)
    rows = affine_rows(
        Images.model_construct(height=height, width=width),
        np.array(SCALES),
        angle=np.zeros(count),
        mirrored=np.ones(count, bool),
        aspect=np.exp(ASPECTS),
    )
    scan = keras.Input((height, width, 1), dtype="uint8", name="scan")
    views = [scan, *(_framed(scan, row.tolist()) for row in rows)]
    mean = keras.layers.Average(dtype="float32", name="mean")([network(view) for view in views])
    return keras.Model(scan, mean, name=f"{network.name}_views")


def _framed(scan: keras.KerasTensor, row: list[float]) -> keras.KerasTensor:
    gray = keras.ops.cast(scan, "float32")
    each = keras.ops.zeros_like(gray[:, :1, 0, 0]) + keras.ops.convert_to_tensor([row])  # the same for every scan
    framed = keras.ops.image.affine_transform(gray, each, interpolation="bilinear", fill_mode="reflect")
    return keras.ops.cast(keras.ops.round(framed), "uint8")
