"""The sanity check of maps: with the last layers' weights randomized, they must change.

Some maps look right whatever the network: they find edges, or follow brightness. Adebayo et al. redraw weights from the
output back and look whether the map changes with them.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from xray.errors import EvaluationError
from xray.evaluation.inspection.saliency import evidence_maps, members

LIMIT = 0.5
"""From this similarity on, maps fail: then a quarter or more of the ranks' variance (0.5 squared) has outlived what was
learnt. Measured on phantoms over 20 draws a network (docs/explain.md): 0.03 to 0.26 for `evidence_maps`, and 1 for a
map of edges, which ignores the weights. So the limit lies well away from both."""

Maps = Callable[[keras.Model, NDArray[np.uint8]], NDArray[np.float32]]
"""From a network and uint8 (n, height, width) to maps, float32 (n, height, width), 0 to 1."""


@dataclass(frozen=True)
class Sanity:
    """How much of the maps is left when a network's last layers are redrawn.

    Attributes:
        similarity: 0 to 1: mean absolute rank correlation between a scan's map before and after; None where no scan has
            a map to compare.
    """

    similarity: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the similarity is below `LIMIT`; None where there is none."""
        return None if self.similarity is None else self.similarity < LIMIT

    def __str__(self) -> str:
        """Write what was found."""
        if self.similarity is None:
            return "they could not be tested: no scan has evidence for the finding"
        verdict = "they depend on the learned weights" if self.passed else "they hardly depend on the learned weights"
        bound = "below" if self.passed else "not below"
        return f"{verdict}: with random last layers, their similarity is {self.similarity:.2f}, {bound} {LIMIT:g}"


def sanity_check(network: keras.Model, pixels: NDArray[np.uint8], seed: int, maps: Maps = evidence_maps) -> Sanity:
    """Compare a network's maps with those after its last layers, from the output to a convolution, were redrawn.

    The similarity of a scan is the absolute Spearman correlation of its two maps. It is 0 where the second map is the
    same everywhere; scans whose first map is so do not count.

    Args:
        network: As `evidence_maps` takes it.
        pixels: uint8 (n, height, width), 0 to 255.
        seed: Of the weights that are drawn.
        maps: What is put to the test.
    """
    before, after = maps(network, pixels), maps(randomize_top(network, seed), pixels)
    found = [_similarity(*pair) for pair in zip(before, after, strict=True) if np.ptp(pair[0]) > 0]
    if not found:
        return Sanity(None)
    return Sanity(math.fsum(found) / len(found))


def randomize_top(network: keras.Model, seed: int) -> keras.Model:
    """Copy a network, with the last layers' weights redrawn: from the output back to the last convolution.

    Kernels are drawn as Glorot and Bengio do, and whatever else these layers hold begins anew, as before training. The
    layers below keep what they learnt. Of an average of networks, each one is changed so.

    Args:
        network: Is left as it is.
        seed: Of the weights that are drawn.
    """
    copy = keras.models.clone_model(network)
    seeds = iter(np.random.SeedSequence(seed).generate_state(len(network.weights)))
    for learnt, fresh in zip(members(network), members(copy), strict=True):
        top = _top(learnt)
        for old, new in zip(learnt.layers, fresh.layers, strict=True):
            if old.name not in top:
                new.set_weights(old.get_weights())
                continue
            # Not by the layer's own initializer: it holds the training's seed, and would give what training began with.
            for weight in new.weights:
                if len(weight.shape) > 1:
                    weight.assign(keras.initializers.GlorotUniform(int(next(seeds)))(weight.shape))
    return copy


def _top(network: keras.Model) -> set[str]:
    """Name the layers from the last one with a spatial kernel, (rows, columns, channels, filters), to the output."""
    kernels = [any(len(weight.shape) == 4 for weight in layer.weights) for layer in network.layers]
    if not any(kernels):
        raise EvaluationError(f"a network must have a convolution. Received: {network.name} has none")
    last = len(kernels) - 1 - kernels[::-1].index(True)
    return {layer.name for layer in network.layers[last:]}


def _similarity(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    if np.ptp(after) == 0:
        return 0.0
    return abs(float(spearmanr(before, after, axis=None).statistic))
