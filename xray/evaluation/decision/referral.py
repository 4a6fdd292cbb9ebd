"""Scans that are handed to a person: scores in a band around the threshold are referred rather than decided.

The band is chosen on validation scans, never on TEST, so that the scans left to the model are decided with no more than
a stated share of errors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.decision.thresholds import midway
from xray.evaluation.metrics import binary as metrics

_LOWS_AT_ONCE = 256  # against 5,000 upper ends: 10 MB an array


@dataclass(frozen=True)
class Band:
    """The referred scores: from `low` on and below `high`.

    Attributes:
        low: 0 to 1; a scan below it is called normal. 0.0 calls no scan normal.
        high: `low` to 1; a scan from it on is called positive. 1.0 calls only scans of score 1 so.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse ends that are out of order or bounds."""
        if not 0 <= self.low <= self.high <= 1:
            raise EvaluationError(f"a band must have 0 <= low <= high <= 1. Received: low={self.low}, high={self.high}")

    @classmethod
    def none(cls, threshold: float) -> "Band":
        """Refer nothing: decide every scan at the threshold, 0 to 1."""
        return cls(threshold, threshold)

    def referred(self, p: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Say which scans are referred: bool (n,), from p, float (n,), the probability of the finding, 0 to 1."""
        return np.asarray((self.low <= p) & (p < self.high))


@dataclass(frozen=True)
class Coverage:
    """Error rates on the most confident scans, from a few of them to all.

    Attributes:
        coverage: float64 (cuts,), rising, share of the scans that are decided, above 0 and up to 1.
        error: float64 (cuts,), share of the decided scans that are decided wrongly, 0 to 1.
    """

    coverage: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclass(frozen=True)
class _Ends:
    """Where a band may end on one side of the threshold, and what is decided beyond: all (cuts,), `cut` rising."""

    cut: NDArray[np.float64]
    decided: NDArray[np.int64]
    wrong: NDArray[np.int64]


def choose_band(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, most_error: float) -> Band:
    """Choose the band that refers fewest scans and limits the errors among the others.

    Errors are positive scans below the band and normal scans above it. Of bands that decide as many scans, the one with
    fewer errors is taken, then the narrower, then the lower. A band's ends lie midway between two neighbouring
    scores, at the threshold, at 0 or at 1.

    Args:
        y: bool (n,), True has the finding. Both classes must be there.
        p: float64 (n,), the probability of the finding, 0 to 1.
        threshold: 0 to 1, within the band.
        most_error: 0 to 1, most errors as a share of the scans that are decided.

    Returns:
        The band; `Band.none(threshold)` where the threshold alone keeps to the bound.

    Raises:
        EvaluationError: Lengths differ, a value is out of bounds or NaN, a class is missing, or no band that leaves any
            scan to the model keeps to the bound.
    """
    metrics.check(y, p, threshold)
    if not 0 <= most_error <= 1:
        raise EvaluationError(f"evaluation.most_error must be within 0 to 1. Received: {most_error}")
    below, above = _below(y, p, threshold), _above(y, p, threshold)
    found = [
        _best(_Ends(below.cut[part], below.decided[part], below.wrong[part]), above, most_error)
        for start in range(0, len(below.cut), _LOWS_AT_ONCE)
        for part in [slice(start, start + _LOWS_AT_ONCE)]
    ]
    reached = [best for best in found if best is not None]
    if not reached:
        raise EvaluationError(
            f"evaluation.most_error must be reachable with these scores. Received: {most_error}, "
            f"and every band around the threshold {threshold:.3f} has more errors"
        )
    *_, low, high = min(reached)
    return Band(low, high)


def confidence(p: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Measure the distance of scores from the threshold, as a share of the maximum distance.

    Args:
        p: float64 (n,), the probability of the finding, 0 to 1.
        threshold: 0 to 1.

    Returns:
        float64 (n,), 0 (at the threshold) to 1 (a score of 0 or 1).
    """
    return np.abs(p - threshold) / np.maximum(np.where(p >= threshold, 1 - threshold, threshold), 1e-12)


def coverage_curve(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float) -> Coverage:
    """Leave more and more scans to the model, the surest first, and count its errors; equally sure scans come together.

    Args:
        y: bool (n,), True has the finding. Both classes must be there.
        p: float64 (n,), the probability of the finding, 0 to 1.
        threshold: 0 to 1; a scan is called positive from there on.

    Raises:
        EvaluationError: Lengths differ, a value is out of bounds or NaN, or a class is missing.

    References:
        El-Yaniv, Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 11 (2010).
    """
    metrics.check(y, p, threshold)
    cuts = metrics.ranking((p >= threshold) != y, confidence(p, threshold), metrics.unit_weights(len(y)))
    wrong, decided = cuts.tp[0], cuts.tp[0] + cuts.fp[0]
    return Coverage(coverage=decided / len(y), error=wrong / decided)


def band_figures(
    y: NDArray[np.bool_], p: NDArray[np.float64], band: Band, threshold: float, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Compute how many scans are referred, and how well the others are decided.

    Args:
        y: bool (n,), True has the finding.
        p: float64 (n,), the probability of the finding, 0 to 1.
        band: The referred scores.
        threshold: 0 to 1, within the band.
        weights: float64 (draws, n), 0 or more, with a positive sum in each draw.

    Returns:
        `referred` (share of all scans), `error_decided`, `sensitivity_decided` and `specificity_decided`, float64
        (draws,) each, 0 to 1, NaN in draws without a scan that the figure needs.

    Raises:
        EvaluationError: The threshold lies outside the band.
    """
    if not band.low <= threshold <= band.high:
        raise EvaluationError(f"threshold must be within the band. Received: threshold={threshold}, band={band}")
    referred = band.referred(p)
    kept, wrong = ~referred, (p >= threshold) != y
    decided = metrics.decision_figures(y[kept], p[kept], threshold, weights[:, kept])
    return {
        "referred": metrics.ratio(weights @ referred, weights.sum(axis=1)),
        "error_decided": metrics.ratio(weights @ (kept & wrong), weights @ kept),
        "sensitivity_decided": decided["sensitivity"],
        "specificity_decided": decided["specificity"],
    }


def _below(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float) -> _Ends:
    scores = np.unique(p[p < threshold])
    cut = np.concatenate([[0.0], midway(scores[:-1], scores[1:]), [threshold]])
    return _Ends(cut, np.searchsorted(np.sort(p), cut), np.searchsorted(np.sort(p[y]), cut))


def _above(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float) -> _Ends:
    scores, normal = np.unique(p[p >= threshold]), p[~y]
    cut = np.concatenate([[threshold], midway(scores[:-1], scores[1:]), [1.0]])
    return _Ends(cut, len(p) - np.searchsorted(np.sort(p), cut), len(normal) - np.searchsorted(np.sort(normal), cut))


def _best(below: _Ends, above: _Ends, most_error: float) -> tuple[int, int, float, float, float] | None:
    """Find the best pair of ends: minus the scans decided, errors, width, low and high; the least tuple is best."""
    decided = below.decided[:, None] + above.decided
    wrong = below.wrong[:, None] + above.wrong
    # Divided, as whole numbers are exactly: 0.29 * 100 is 28.999… and would refuse 29 errors of 100.
    kept = (decided > 0) & (wrong / np.maximum(decided, 1) <= most_error)
    if not kept.any():
        return None
    most = decided[kept].max()
    kept &= decided == most
    fewest = wrong[kept].min()
    low, high = np.nonzero(kept & (wrong == fewest))
    # Rounded, or of two bands of one width the last bit of their ends would decide.
    widths = np.round(above.cut[high] - below.cut[low], 12)
    first = int(np.argmin(widths))  # of equal widths the first, and so the lower
    return -int(most), int(fewest), float(widths[first]), float(below.cut[low[first]]), float(above.cut[high[first]])
