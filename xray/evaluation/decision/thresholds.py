"""The decision threshold, chosen by a rule that the configuration names. For validation scans only, never for TEST.

A threshold lies midway between two neighbouring scores, so that rounding flips no decision.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics.binary import check, ranking, unit_weights


@dataclass(frozen=True)
class Cuts:
    """The results of each threshold, from the one that calls fewest scans positive to the one that calls all so.

    Attributes:
        tp: float64 (cuts,), scans with the finding that are called so, whole numbers.
        fp: float64 (cuts,), normal scans that are called positive, whole numbers.
        positives: Number of scans with the finding.
        negatives: Number of normal scans.
    """

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    positives: float
    negatives: float


Merit = Callable[[Cuts], NDArray[np.float64]]
"""How good each cut is, float64 (cuts,), from whole numbers, so that ties are exact; minus infinity rules one out."""


def choose_threshold(y: NDArray[np.bool_], p: NDArray[np.float64], evaluation: config.Evaluation) -> float:
    """Choose a threshold by `evaluation.threshold`.

    `youden` takes the highest sensitivity + specificity - 1 (Youden, 1950). `sensitivity>=X` takes the highest
    specificity among the thresholds with at least that sensitivity, `specificity>=X` the other way round. `cost` takes
    the lowest cost, where a missed finding costs `evaluation.missed_cost` false alarms. Of equally good thresholds
    the lowest is taken, the one that misses fewest findings.

    Args:
        y: bool (n,), True has the finding. Both classes must be there.
        p: float64 (n,), the probability of the finding, 0 to 1.
        evaluation: Names the rule.

    Returns:
        0 to 1; a scan is called positive from there on. 0.0 calls every scan positive.

    Raises:
        EvaluationError: Lengths differ, a value is out of bounds or NaN, a class is missing, or no threshold that calls
            any scan positive does what the rule asks for.

    References:
        Youden, "Index for rating diagnostic tests", Cancer 1950.
    """
    check(y, p)
    found = ranking(y, p, unit_weights(len(y)))
    merit = _rule(evaluation)(Cuts(found.tp[0], found.fp[0], found.tp[0, -1], found.fp[0, -1]))
    if np.isneginf(merit).all():
        raise EvaluationError(
            f"evaluation.threshold must be reachable with these scores. Received: {evaluation.threshold}, "
            f"and the highest score alone calls {int(found.fp[0, 0])} of {int(found.fp[0, -1])} normal scans positive"
        )
    best = int(np.flatnonzero(merit == merit.max())[-1])
    if best == len(found.scores) - 1:
        return 0.0
    return float(midway(found.scores[1:], found.scores[:-1])[best])


def midway(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place a threshold between two scores: float64 (n,), above `lower` and at most `upper`, both float64 (n,)."""
    middle = lower + (upper - lower) / 2
    return np.where(middle > lower, middle, upper)  # neighbouring floats have nothing in between


def _rule(evaluation: config.Evaluation) -> Merit:
    name, _, bound = evaluation.threshold.partition(">=")
    if name == "sensitivity":
        return lambda cuts: _most_specific(cuts, float(bound))
    if name == "specificity":
        return lambda cuts: _most_sensitive(cuts, float(bound))
    if name == "cost":
        return lambda cuts: -(evaluation.missed_cost * (cuts.positives - cuts.tp) + cuts.fp)
    return lambda cuts: cuts.tp * cuts.negatives - cuts.fp * cuts.positives


def _most_specific(cuts: Cuts, sensitivity: float) -> NDArray[np.float64]:
    merit = (cuts.negatives - cuts.fp) * (cuts.positives + 1) + cuts.tp  # specificity first, then sensitivity
    return np.where(cuts.tp / cuts.positives >= sensitivity, merit, -np.inf)


def _most_sensitive(cuts: Cuts, specificity: float) -> NDArray[np.float64]:
    right = cuts.negatives - cuts.fp
    return np.where(right / cuts.negatives >= specificity, cuts.tp * (cuts.negatives + 1) + right, -np.inf)
