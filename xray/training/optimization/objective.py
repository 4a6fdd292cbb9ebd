"""What a training minimizes, and what it watches: loss, metrics, optimizer and the weight of each class."""

import keras
import numpy as np

from xray.config import Config, Labels, Training
from xray.data.store.loader import Scans
from xray.training.networks.architectures import build
from xray.training.networks.backbones import load_weights
from xray.training.networks.pretrained import weights_file
from xray.training.optimization.adam import FusedAdam


def compiled(config: Config, steps: int) -> keras.Model:
    """Build a network, with fresh weights or those that `model.weights` names, and compile it.

    Args:
        config: The whole configuration.
        steps: Batches of an epoch, at least 1.

    Raises:
        TrainingError: The named weights cannot be had, or are another network's.
    """
    scheme = config.labels.told_apart
    network = build(config.model, config.images, config.training.seed, scheme)
    if named := weights_file(config.model):
        load_weights(network, named)
    smoothing = config.training.label_smoothing
    loss: keras.losses.Loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
    metrics = [keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")]
    if scheme.outputs > 1:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        # the mean over the classes, each against the rest
        auc = keras.metrics.AUC(name="auc", multi_label=True, num_labels=scheme.outputs)
        metrics = [keras.metrics.CategoricalAccuracy(name="accuracy"), auc]
    network.compile(
        optimizer=_optimizer(config.training, steps),
        loss=loss,
        metrics=metrics,
        jit_compile=_gains_from_xla(),
    )
    return network


def _optimizer(training: Training, steps: int) -> keras.optimizers.Optimizer:
    """Make Adam, or AdamW where weights decay, with a step size that follows the schedule."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = training.learning_rate
    if training.schedule == "cosine":
        warm_up = steps if training.epochs > 1 else 0
        rate = keras.optimizers.schedules.CosineDecay(
            training.learning_rate / 10 if warm_up else training.learning_rate,
            training.epochs * steps - warm_up,
            alpha=0.0,
            warmup_target=training.learning_rate if warm_up else None,
            warmup_steps=warm_up,
        )
    return FusedAdam(rate, weight_decay=training.weight_decay or None)


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
