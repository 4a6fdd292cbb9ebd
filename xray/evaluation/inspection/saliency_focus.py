"""Where maps are brightest: at different places in different patients, as disease is, or always at the same place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray.evaluation.inspection.perturbations import BORDER

RADIUS = 0.1
"""Places within this share of the picture's width and height count as one: about a cell of the coarsest map."""

LIMIT = 0.5
"""From this share of the maps on, they are said to be brightest at one place. Of spots spread evenly over both lungs,
the best circle holds 0.24 of 12, 0.17 of 40 and 0.14 of 100 on average, and half of 12 in 1 of 500 draws (4,000 draws
each), so that half is not what disease in different lungs looks like."""

FEWEST = 12
"""Maps that it takes to say so: half of 6 come together by chance in 1 of 10 draws."""


@dataclass(frozen=True)
class Focus:
    """Where the brightest spots of maps lie.

    Attributes:
        maps: Maps with any evidence; others have no brightest spot.
        together: Share of them whose spot lies within `RADIUS` of one place, the place that most share, 0 to 1.
        right: That place, as a share of the width from the left, 0 to 1.
        down: And as a share of the height from above, 0 to 1.
        outside: Share of the spots in the outer `BORDER` of the picture, where there is hardly any lung, 0 to 1.
    """

    maps: int
    together: float
    right: float
    down: float
    outside: float

    @property
    def coincide(self) -> bool:
        """Whether the maps are brightest at one place, whatever the scan."""
        return self.maps >= FEWEST and self.together >= LIMIT

    def __str__(self) -> str:
        """Write what was found."""
        if not self.maps:
            return "no map shows evidence"
        count, place = f"{round(self.together * self.maps):,} of {self.maps:,} maps", self._place()
        edge = f"; {self.outside:.0%} of all spots are at the image's edge, where there is hardly any lung"
        edge = edge if self.outside else ""
        if self.coincide:
            return f"{count} are brightest at the same place, {place}, in different patients{edge}"
        return f"the brightest spots differ between scans: at most {count} share a place, {place}{edge}"

    def _place(self) -> str:
        return f"{self.right:.0%} of the width from the left and {self.down:.0%} of the height from above"


def focus(maps: NDArray[np.float32]) -> Focus:
    """Find where maps are brightest.

    Args:
        maps: float32 (n, height, width), 0 or more.
    """
    height, width = maps.shape[1:]
    lit = maps[maps.any(axis=(1, 2))]
    if not len(lit):
        return Focus(0, 0.0, 0.0, 0.0, 0.0)
    down, right = np.unravel_index(lit.reshape(len(lit), -1).argmax(axis=1), (height, width))
    spots = np.stack([(right + 0.5) / width, (down + 0.5) / height], axis=1)
    near = np.linalg.norm(spots[:, None] - spots, axis=2) <= RADIUS
    shared = int(near.sum(axis=1).argmax())
    edge = ((spots < BORDER) | (spots > 1 - BORDER)).any(axis=1)
    place = spots[shared]
    return Focus(len(lit), float(near[shared].mean()), float(place[0]), float(place[1]), float(edge.mean()))
