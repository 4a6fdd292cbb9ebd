"""The networks, by name. Each takes gray scans as stored and gives P(normal), or the probability of each class."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers

from xray.config import Images, Model
from xray.labels import BINARY, Scheme
from xray.training.networks.backbones import backbone

Initial = Iterator[keras.Initializer]
Body = Callable[[keras.KerasTensor, Initial], keras.KerasTensor]


def build(model: Model, images: Images, seed: int, scheme: Scheme = BINARY) -> keras.Model:
    """Build a network with fresh weights, not yet compiled.

    Args:
        model: Names the architecture.
        images: The size of a normalized scan.
        seed: Decides the weights, with the architecture.
        scheme: What is told apart.

    Returns:
        A network from uint8 (n, height, width, 1), 0 to 255, to float32, 0 to 1: (n, 1), P(normal), for two classes,
        and else (n, k), a softmax output for each class.
    """
    initial = _initializers(seed)
    body = _body(model, images, initial)
    activation, name = ("sigmoid", "p_normal") if scheme.outputs == 1 else ("softmax", "classes")
    # The last layer stays in float32 under mixed precision: bfloat16 has three digits.
    last = layers.Dense(
        scheme.outputs, activation=activation, kernel_initializer=next(initial), dtype="float32", name=name
    )
    return keras.Model(body.inputs[0], last(body.outputs[0]), name=model.network)


def _body(model: Model, images: Images, initial: Initial) -> keras.Model:
    scan = keras.Input((images.height, images.width, 1), dtype="uint8", name="scan")
    if model.architecture == "backbone":
        return backbone(model.backbone, scan, (initializer.seed for initializer in initial))
    gray = layers.Rescaling(1 / 255)(scan)
    if model.standardize:
        gray = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-5, name="standard")(gray)
    return keras.Model(scan, ARCHITECTURES[model.architecture](gray, initial))


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


def _residual(x: keras.KerasTensor, initial: Initial) -> keras.KerasTensor:
    """Four residual blocks and the mean over positions: 884,000 weights at any size (He et al., arXiv:1512.03385)."""
    x = layers.MaxPooling2D(3, 2, padding="same")(_normalized(x, initial, 16, size=5, strides=2))
    for filters, strides in ((32, 1), (64, 2), (128, 2), (192, 2)):
        straight = layers.AveragePooling2D(strides, padding="same")(x) if strides > 1 else x
        straight = _normalized(straight, initial, filters, size=1, active=False)
        x = _normalized(x, initial, filters, strides=strides)
        x = _normalized(x, initial, filters, active=False)
        x = layers.Activation("relu")(layers.Add()([x, straight]))
    return layers.GlobalAveragePooling2D()(x)


def _normalized(
    x: keras.KerasTensor, initial: Initial, filters: int, size: int = 3, strides: int = 1, active: bool = True
) -> keras.KerasTensor:
    """Convolve, normalize over the batch, and cut off below zero."""
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer=next(initial))(
        x
    )
    # Keras's momentum of 0.99 needs more steps than a small data set gives in its first epochs.
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation("relu")(x) if active else x


ARCHITECTURES: dict[str, Body] = {"article": _article, "quick": _quick, "residual": _residual}
