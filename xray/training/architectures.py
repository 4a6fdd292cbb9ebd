"""The networks, by name. Each takes gray scans as stored and gives P(normal), or the probability of each class."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers

from xray.config import Images, Model
from xray.labels import SCHEMES, Scheme

Initial = Iterator[keras.Initializer]
Body = Callable[[keras.KerasTensor, Initial], keras.KerasTensor]


def build(model: Model, images: Images, seed: int, scheme: Scheme = SCHEMES["binary"]) -> keras.Model:
    """Build a network with fresh weights, not yet compiled.

    Args:
        model: Names the architecture.
        images: The size of a normalized scan.
        seed: Decides the weights, with the architecture.
        scheme: What is told apart.

    Returns:
        A network from uint8 (n, height, width, 1), 0 to 255, to float32, 0 to 1: (n, 1), P(normal), for the binary
        scheme, and else (n, k), a softmax output for each class.
    """
    inputs = keras.Input((images.height, images.width, 1), dtype="uint8", name="scan")
    initial = _initializers(seed)
    features = ARCHITECTURES[model.architecture](layers.Rescaling(1 / 255)(inputs), initial)
    activation, name = ("sigmoid", "p_normal") if scheme.outputs == 1 else ("softmax", "classes")
    # The last layer stays in float32 under mixed precision: bfloat16 has three digits.
    last = layers.Dense(
        scheme.outputs, activation=activation, kernel_initializer=next(initial), dtype="float32", name=name
    )
    outputs = last(features)
    return keras.Model(inputs, outputs, name=model.architecture)


def _initializers(seed: int) -> Initial:
    """Give each layer a seed of its own.

    Left to itself, Keras draws them from Python's global generator, from which any thread of the process may draw in
    between: Prefect's and MLflow's do, and the same seed then trained another network.
    """
    for number in np.random.SeedSequence(seed).generate_state(1000):
        yield keras.initializers.GlorotUniform(seed=int(number))


def _article(x: keras.KerasTensor, initial: Initial) -> keras.KerasTensor:
    """Three convolutions and one dense layer: 80.4 million weights at 300 x 300, nearly all in the dense layer."""
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, activation="relu", kernel_initializer=next(initial))(x)
        x = layers.MaxPooling2D(2)(x)
    return layers.Dense(512, activation="relu", kernel_initializer=next(initial))(layers.Flatten()(x))


def _quick(x: keras.KerasTensor, initial: Initial) -> keras.KerasTensor:
    """Three strided convolutions and one dense layer: some 300,000 weights at 96 x 96."""
    for filters in (16, 32, 32):
        convolution = layers.Conv2D(
            filters, 3, strides=2, padding="same", activation="relu", kernel_initializer=next(initial)
        )
        x = convolution(x)
    return layers.Dense(64, activation="relu", kernel_initializer=next(initial))(layers.Flatten()(x))


ARCHITECTURES: dict[str, Body] = {"article": _article, "quick": _quick}
