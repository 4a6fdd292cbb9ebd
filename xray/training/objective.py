"""What a training minimizes, and what it watches: loss, metrics, optimizer and the weight of each class."""

import keras
import numpy as np

from xray.config import Config, Labels
from xray.data.loader import Scans
from xray.labels import SCHEMES
from xray.training.architectures import build


def compiled(config: Config) -> keras.Model:
    """Build a network with fresh weights and compile it.

    Args:
        config: The whole configuration.
    """
    scheme = SCHEMES[config.labels.scheme]
    network = build(config.model, config.images, config.training.seed, scheme)
    loss: keras.losses.Loss = keras.losses.BinaryCrossentropy()
    metrics = [keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")]
    if scheme.outputs > 1:
        loss = keras.losses.CategoricalCrossentropy()
        # the mean over the classes, each against the rest
        auc = keras.metrics.AUC(name="auc", multi_label=True, num_labels=scheme.outputs)
        metrics = [keras.metrics.CategoricalAccuracy(name="accuracy"), auc]
    network.compile(
        optimizer=keras.optimizers.Adam(config.training.learning_rate),
        loss=loss,
        metrics=metrics,
        jit_compile=_gains_from_xla(),
    )
    return network


def class_weights(scans: Scans, labels: Labels) -> dict[int, float] | None:
    """Weight each class by the inverse of its share, so that all classes together count as the scans do.

    Args:
        scans: The training scans; each class has some.
        labels: Whether classes are weighted at all.

    Returns:
        A weight for each class by its place, as Keras's `fit` takes them, or None for no weights.
    """
    if labels.class_weights == "none":
        return None
    targets = scans.targets
    places = targets[:, 0].astype(np.int64) if targets.shape[1] == 1 else targets.argmax(axis=1)
    counts = np.bincount(places, minlength=max(2, targets.shape[1]))
    return {place: float(len(scans) / (len(counts) * count)) for place, count in enumerate(counts)}


def _gains_from_xla() -> bool:
    # On a processor XLA made the article's step two to four times slower; on a GPU it gains.
    return bool(keras.distribution.list_devices("gpu"))
