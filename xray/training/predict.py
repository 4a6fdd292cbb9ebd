"""Score pixels with a network: the one way, for evaluation and for the registered model alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray.labels import class_probabilities


def predict(model: Any, pixels: NDArray[np.uint8], batch_size: int = 32) -> NDArray[np.float64]:
    """Give each normalized scan the probability of each class.

    Args:
        model: A Keras model: uint8 (n, height, width, 1) in, as `architectures.build` says out, in float32.
        pixels: uint8 (n, height, width), 0 to 255; a memory map is read one batch at a time.
        batch_size: Scans a step, at least 1.

    Returns:
        float64 (n, k), 0 to 1, in the order of the scheme's classes, normal second of two; (0, k) for no scans.

    Raises:
        ValueError: `pixels` is not uint8 with three axes.
    """
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 (n, height, width). Received: {pixels.dtype} {pixels.shape}")
    batches = [
        class_probabilities(model.predict_on_batch(np.asarray(pixels[start : start + batch_size])[..., np.newaxis]))
        for start in range(0, len(pixels), batch_size)
    ]
    return np.concatenate(batches) if batches else np.empty((0, max(2, model.output_shape[-1])), dtype=np.float64)
