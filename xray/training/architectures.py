"""The networks, by name. Each takes gray scans as stored and gives P(normal)."""

from collections.abc import Callable

import keras
from keras import layers

from xray.config import Images, Model

Body = Callable[[keras.KerasTensor], keras.KerasTensor]


def build(model: Model, images: Images) -> keras.Model:
    """Build a network with fresh weights, not yet compiled.

    Args:
        model: Names the architecture.
        images: The size of a normalized scan.

    Returns:
        A network from uint8 (n, height, width, 1), 0 to 255, to float32 (n, 1), P(normal), 0 to 1.
    """
    inputs = keras.Input((images.height, images.width, 1), dtype="uint8", name="scan")
    features = ARCHITECTURES[model.architecture](layers.Rescaling(1 / 255)(inputs))
    # The sigmoid stays in float32 under mixed precision: bfloat16 has three digits.
    outputs = layers.Dense(1, activation="sigmoid", dtype="float32", name="p_normal")(features)
    return keras.Model(inputs, outputs, name=model.architecture)


def _article(x: keras.KerasTensor) -> keras.KerasTensor:
    """Three convolutions and one dense layer: 80.4 million weights at 300 x 300, nearly all in the dense layer."""
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    return layers.Dense(512, activation="relu")(layers.Flatten()(x))


def _quick(x: keras.KerasTensor) -> keras.KerasTensor:
    """Three strided convolutions and one dense layer: some 300,000 weights at 96 x 96."""
    for filters in (16, 32, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    return layers.Dense(64, activation="relu")(layers.Flatten()(x))


ARCHITECTURES: dict[str, Body] = {"article": _article, "quick": _quick}
