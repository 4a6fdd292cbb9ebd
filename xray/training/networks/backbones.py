"""Networks that `keras.applications` ships, without their top, made to take gray scans."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import layers

from xray.errors import TrainingError

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, 0 to 1."""


MOMENTUM = 0.9
"""Of the statistics of batch normalization. At the MobileNets' own, 0.999, they need thousands of steps to follow the
scans, and until then no validation scan is scored as the training scans were."""


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications` and what it was trained on.

    Attributes:
        make: Its constructor there.
        scale: What each of the three channels, 0 to 255, is multiplied by.
        offset: What is then added.
    """

    make: Callable[..., keras.Model]
    scale: tuple[float, ...]
    offset: tuple[float, ...]


_AROUND_ZERO = (3 * (1 / 127.5,), 3 * (-1.0,))
_BY_CHANNEL = (
    tuple(1 / (255 * deviation) for deviation in _DEVIATION),
    tuple(-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)),
)
_BARE = {"include_preprocessing": False}

BACKBONES: dict[str, Backbone] = {
    "mobilenet_v2": Backbone(keras.applications.MobileNetV2, *_AROUND_ZERO),
    "mobilenet_v3_small": Backbone(partial(keras.applications.MobileNetV3Small, **_BARE), *_AROUND_ZERO),
    "efficientnet_v2_b0": Backbone(partial(keras.applications.EfficientNetV2B0, **_BARE), *_BY_CHANNEL),
    "densenet121": Backbone(keras.applications.DenseNet121, *_BY_CHANNEL),
    "resnet50_v2": Backbone(keras.applications.ResNet50V2, *_AROUND_ZERO),
}


def backbone(name: str, scan: keras.KerasTensor, seeds: Iterator[int]) -> keras.Model:
    """Build a backbone with fresh weights: all its layers in one flat network, which ends in the mean over positions.

    Args:
        name: One of `BACKBONES`.
        scan: An input, uint8 (n, height, width, 1), 0 to 255.
        seeds: Each weight and each dropout takes one, for `keras.applications` leaves them to a global generator.

    Returns:
        A network from such scans to float (n, features).
    """
    chosen = BACKBONES[name]
    # In float32 under mixed precision, too: bfloat16 would round to steps of a gray level and more.
    scaled = layers.Rescaling(chosen.scale, chosen.offset, dtype="float32", name="as_trained")
    rgb = scaled(layers.Concatenate(name="gray_to_rgb")([scan, scan, scan]))
    shipped = chosen.make(include_top=False, weights=None, input_tensor=rgb, pooling="avg")

    def own(layer: keras.Operation) -> keras.Operation:
        return type(layer).from_config(_changed(layer.get_config(), seeds))

    return keras.models.clone_model(shipped, clone_function=own)


def load_weights(network: keras.Model, file: Path) -> None:
    """Give a network's backbone the weights of a file; the last layer keeps its own.

    Args:
        network: A backbone and one last layer.
        file: A `.weights.h5` or `.h5` file, as `save_weights` of the backbone without its top writes it.

    Raises:
        TrainingError: It holds no weights, or those of another network.
    """
    body = keras.Model(network.inputs, network.layers[-1].input)
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras says of each part what it then raises for all
            body.load_weights(file)
    except (OSError, ValueError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"model.weights must be a file of {network.name}'s weights without its top. Received: {file} ({reason})"
        ) from error


def _changed(config: dict[str, Any], seeds: Iterator[int]) -> dict[str, Any]:
    """Copy a layer's configuration, with seeds of ours and batch statistics that soon follow."""
    changed = {key: _changed(part, seeds) if isinstance(part, dict) else part for key, part in config.items()}
    if "seed" in config:
        changed["seed"] = next(seeds)
    if "momentum" in config:
        changed["momentum"] = MOMENTUM
    return changed
