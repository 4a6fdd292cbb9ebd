"""Calibration: reliability bins and the expected calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows, over equal-width bins of `p_FINDING`.

    Attributes:
        edges: float64 (bins + 1,), 0 to 1.
        scans: int64 (bins,), scans in each bin.
        filled: bool (bins,), bins that hold a scan. The next two have an entry for each of these, in order.
        predicted: float64 (filled bins,), mean `p_FINDING`.
        observed: float64 (filled bins,), share of scans that have the finding.
    """

    edges: NDArray[np.float64]
    scans: NDArray[np.int64]
    filled: NDArray[np.bool_]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]


def bin_edges(bins: int) -> NDArray[np.float64]:
    """Cut 0 to 1 into equal widths: float64 (bins + 1,). A bin holds its lower edge, the last one both."""
    return np.arange(bins + 1) / bins


def reliability(y: NDArray[np.bool_], p: NDArray[np.float64], bins: int) -> Reliability:
    """Compare probabilities with what came true, bin by bin.

    Args:
        y: bool (n,), True has the finding.
        p: float64 (n,), the probability of the finding, 0 to 1.
        bins: Number of equal-width bins, at least 1.
    """
    scans, predicted, observed = (totals[0] for totals in _bin_totals(y, p, bins, np.ones((1, len(p)))))
    filled = scans > 0
    return Reliability(
        edges=bin_edges(bins),
        scans=scans.astype(np.int64),
        filled=filled,
        predicted=predicted[filled] / scans[filled],
        observed=observed[filled] / scans[filled],
    )


def calibration_error(
    y: NDArray[np.bool_], p: NDArray[np.float64], bins: int, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average the gap between probability and truth over the bins, each by its share of the scans.

    This is the expected calibration error of the probability of the finding [1], not of the likelier label's.

    Args:
        y: bool (n,), True has the finding.
        p: float64 (n,), the probability of the finding, 0 to 1.
        bins: Number of equal-width bins, at least 1.
        weights: float64 (draws, n), how often each scan counts, 0 or more, with a positive sum in each draw.

    Returns:
        float64 (draws,), 0 (best) to 1.

    References:
        [1] Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    """
    _, predicted, observed = _bin_totals(y, p, bins, weights)
    return np.abs(predicted - observed).sum(axis=1) / weights.sum(axis=1)


def _bin_totals(
    y: NDArray[np.bool_], p: NDArray[np.float64], bins: int, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum scans, probabilities and findings in each bin: three float64 (draws, bins)."""
    # Searched, not floor(p * bins): 0.29 * 100 is 28.999… and would miss its own bin.
    bin_of_scan = np.minimum(np.searchsorted(bin_edges(bins), p, side="right") - 1, bins - 1)
    member = (bin_of_scan[:, None] == np.arange(bins)).astype(np.float64)  # (n, bins)
    return weights @ member, weights @ (member * p[:, None]), weights @ (member * y[:, None])
