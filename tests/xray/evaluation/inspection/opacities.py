"""Chests with an opacity painted where the test knows it, and a small network trained to tell them."""

import functools
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from xray.config import Images, Model
from xray.data.phantoms.drawing import draw_chest
from xray.training.networks.architectures import build

SIDE = 64
RADIUS = 9
LUNGS = ((24, 18), (24, 44), (34, 17), (34, 46))
"""Row and column of places within either lung."""


@dataclass(frozen=True)
class Chests:
    """Scans, every second one with an opacity.

    Attributes:
        pixels: uint8 (n, 64, 64), 0 to 255.
        opacities: bool (n, 64, 64), True where an opacity was painted.
    """

    pixels: NDArray[np.uint8]
    opacities: NDArray[np.bool_]

    @property
    def positive(self) -> NDArray[np.bool_]:
        """bool (n,), True where there is an opacity."""
        return np.asarray(self.opacities.any(axis=(1, 2)))


def chests(count: int, seed: int) -> Chests:
    """Draw healthy chests, and paint a disc of dense tissue over one lung of every second one."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([draw_chest("normal", (seed, place), (seed, place), (SIDE, SIDE)) for place in range(count)])
    opacities = np.zeros(pixels.shape, dtype=bool)
    for place in range(1, count, 2):
        row, column = np.array(LUNGS[rng.integers(len(LUNGS))]) + rng.integers(-3, 4, 2)
        opacities[place] = (rows - row) ** 2 + (columns - column) ** 2 < RADIUS**2
    dense = np.clip(pixels.astype(np.int64) + 70, 0, 255).astype(np.uint8)
    return Chests(np.where(opacities, dense, pixels), opacities)


@functools.cache
def trained() -> keras.Model:
    """The quick network, trained on 240 of them for some seconds."""
    learnt = chests(240, seed=0)
    network = build(Model(architecture="quick"), Images(height=SIDE, width=SIDE), seed=0)
    network.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    normal = (~learnt.positive).astype(np.float32)[:, np.newaxis]
    network.fit(learnt.pixels[..., np.newaxis], normal, batch_size=16, epochs=15, shuffle=False, verbose=0)
    return network
