"""Samples of more than 8 bits to 8, through a table: which values are a scan's, whatever its container."""

import numpy as np
from numpy.typing import NDArray

END_SHARE = 0.001
"""The share of pixels at either end that may lie outside the range: hot pixels, dead ones, a marker."""

FEWEST_VALUES = 16
"""A picture with fewer values has no padding to tell from its ends."""

MOST_END_VALUES = 16
"""Padding, a hot pixel or a marker with its edge has no more values than this; more are a part of the picture."""

GAP = 0.5
"""An end value so far from the next one, as a share of the others' range, is padding or a fault."""


def robust_range(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float, NDArray[np.bool_]]:
    """Find the range of a scan's values.

    A few values at an end, far from all others, are padding or a marker: left out. Of what is left, `END_SHARE` of the
    pixels may lie outside at either end.

    Args:
        values: float64 (n,), ascending: each value that the picture may have.
        counts: int64 (n,): how many pixels have it; at least one is above 0.

    Returns:
        The low and the high end, and bool (n,): which values are padding.
    """
    there = np.flatnonzero(counts)
    padding = np.zeros(len(values), dtype=bool)
    padding[there[_beyond_a_gap(values[there]) :]] = True
    falling = there[::-1]
    padding[falling[_beyond_a_gap(-values[falling]) :]] = True
    there = np.flatnonzero((counts > 0) & ~padding)
    cumulated = np.cumsum(counts[there])
    low = values[there[np.searchsorted(cumulated, END_SHARE * cumulated[-1], side="right")]]
    high = values[there[np.searchsorted(cumulated, (1 - END_SHARE) * cumulated[-1], side="left")]]
    if low >= high:  # nearly all pixels have one value
        low, high = values[there[0]], values[there[-1]]
    return float(low), float(high), padding


def _beyond_a_gap(found: NDArray[np.float64]) -> int:
    """Find from which place on the values lie beyond a gap at the upper end; the number of values where none do."""
    first = max(len(found) - MOST_END_VALUES, FEWEST_VALUES)
    if first >= len(found):
        return len(found)
    gaps = np.diff(found)[first - 1 :]
    far = np.flatnonzero(gaps > GAP * (found[first - 1 : -1] - found[0]))
    return int(first + far[0]) if len(far) else len(found)


def stretched(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Scale values linearly so that `low` becomes 0 and `high` 255; what lies outside is clipped.

    Args:
        values: float64 of any shape; one that is not finite becomes an end, NaN the low one.
        low: The value that becomes black.
        high: The value that becomes white; at or below `low`, all is black.

    Returns:
        uint8 of the same shape, 0 to 255.
    """
    factor = 255.0 / (high - low) if high > low else 0.0
    finite = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return np.rint(np.clip((finite - low) * factor, 0, 255)).astype(np.uint8)
