"""Where in a scan a network finds evidence for the finding: Grad-CAM, with each position weighed by its own gradient.

Grad-CAM (Selvaraju et al.) weighs a channel by the mean of its gradient over all positions. That is right where a
network averages over positions next, and only there. The recipes' networks flatten, so that every position has weights
of its own, and the mean of those says nothing of where the network looks. On phantoms whose opacities are known, the
strongest place of such a map lay on an opacity in 0 to 3 % of the scans; with each position's own gradient (HiResCAM:
Draelos and Carin) in 80 %. The plain map also failed the test of `sanity` in 13 of 40 draws, this one in none:
docs/explain.md. Where a network does average over positions, both are the same map.
"""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from xray.errors import EvaluationError

NORMAL_OUTPUT = 0
"""The place of `normal` among several outputs, in every scheme that has them."""


def evidence_maps(network: keras.Model, pixels: NDArray[np.uint8], batch_size: int = 32) -> NDArray[np.float32]:
    """Map the evidence for the finding in each scan.

    The score is the logarithm of the odds, log(p / (1 - p)): unlike p, it has a gradient for a sure network,
    too. The map is the score's gradient at the last layer with rows and columns, times that layer's output, summed over
    channels; what speaks against the finding is cut off, and the rest enlarged to the scan. A scan of an average of
    networks gets the mean of its members' maps.

    A map tells places of one scan apart. It does not compare scans: in each, the strongest place is 1.

    Args:
        network: uint8 (n, height, width, 1), 0 to 255, in; a Dense layer last, with one sigmoid output, P(normal), or
            a softmax output for each class, normal first. Or an average of such networks.
        pixels: uint8 (n, height, width), 0 to 255; a memory map is read one batch at a time.
        batch_size: Scans a step, at least 1.

    Returns:
        float32 (n, height, width), 0 to 1; all 0 where nothing speaks for the finding.

    Raises:
        EvaluationError: The pixels are not of that kind, or the network has no such last layer, or no layer with rows
            and columns.

    References:
        Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017.
        Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
        networks", arXiv:2011.08891, 2020.
    """
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise EvaluationError(f"pixels must be uint8 (n, height, width). Received: {pixels.dtype} {pixels.shape}")
    maps = np.zeros(pixels.shape, dtype=np.float32)
    for member in members(network):
        body, head = _halves(member)
        for start in range(0, len(pixels), batch_size):
            batch = np.asarray(pixels[start : start + batch_size])
            maps[start : start + batch_size] += _to_its_own_maximum(_evidence(body, head, member.layers[-1], batch))
    return _to_its_own_maximum(maps)


def members(network: keras.Model) -> list[keras.Model]:
    """List the networks that a network averages, over seeds or over views; it alone where it averages none."""
    if not isinstance(network.layers[-1], keras.layers.Average):
        return [network]
    averaged = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    return [member for each in averaged for member in members(each)]


def _halves(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cut a network after its last layer with rows and columns, and before its last layer."""
    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation not in (
        keras.activations.sigmoid,
        keras.activations.softmax,
    ):
        raise EvaluationError(f"a network must end in Dense with sigmoid or softmax. Received: {last.name}")
    spatial = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    spatial = [layer for layer in spatial if len(layer.output.shape) == 4]
    if not spatial:
        raise EvaluationError(f"a network must have a layer with rows and columns. Received: {network.name} has none")
    features = spatial[-1].output
    return keras.Model(network.inputs[0], features), keras.Model(features, last.input)


def _evidence(
    body: keras.Model, head: keras.Model, last: keras.layers.Dense, pixels: NDArray[np.uint8]
) -> NDArray[np.float32]:
    features = body(pixels[..., np.newaxis], training=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = _log_odds(_before_activation(head(features, training=False), last))
    evidence = keras.ops.relu(keras.ops.sum(tape.gradient(score, features) * features, axis=-1, keepdims=True))
    return np.asarray(keras.ops.image.resize(evidence, pixels.shape[1:], interpolation="bilinear"))[..., 0]


def _before_activation(features: tf.Tensor, last: keras.layers.Dense) -> tf.Tensor:
    """Compute a dense layer up to its activation: (n, outputs)."""
    logits = keras.ops.matmul(features, last.kernel)
    return logits + last.bias if last.use_bias else logits


def _log_odds(logits: tf.Tensor) -> tf.Tensor:
    """Give the logarithm of the finding's odds, (n,)."""
    if logits.shape[-1] == 1:
        return -logits[:, 0]
    positive = [place for place in range(logits.shape[-1]) if place != NORMAL_OUTPUT]
    return keras.ops.logsumexp(keras.ops.take(logits, positive, axis=1), axis=1) - logits[:, NORMAL_OUTPUT]


def _to_its_own_maximum(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    strongest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, strongest, out=np.zeros_like(maps), where=strongest > 0)
