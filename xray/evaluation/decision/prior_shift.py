"""Probabilities of a finding adjusted to another prevalence than in training (prior shift).

Holds as far as a sick scan here looks like a sick scan there, and a normal one like a normal one (prior shift).

References:
    Saerens, Latinne, Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities: A Simple
    Procedure", Neural Computation 14 (2002).
"""

import numpy as np
from numpy.typing import NDArray

from xray.errors import EvaluationError


def adjust_prior(p: NDArray[np.float64], prior: float, prevalence: float) -> NDArray[np.float64]:
    """Adjust probabilities from one prevalence to another, by Bayes (equation 4 of the source).

    The order of the scans stays. A scan of which the model is wholly sure, 0 or 1, stays where it is.

    Args:
        p: float64 (n,), the calibrated probability of the finding, 0 to 1.
        prior: Share of the finding that `p` was calibrated on, above 0 and below 1.
        prevalence: Share of the finding where `p` is used, 0 to 1.

    Returns:
        float64 (n,), 0 to 1; exactly `p` where both shares are one.

    Raises:
        EvaluationError: A value is out of bounds.
    """
    _check(p, prior)
    if not 0 <= prevalence <= 1:
        raise EvaluationError(f"prevalence must be within 0 to 1. Received: prevalence={prevalence}")
    positive = p * (prevalence / prior)
    total = positive + (1 - p) * ((1 - prevalence) / (1 - prior))
    return np.divide(positive, total, out=p.copy(), where=total > 0)


def estimate(p: NDArray[np.float64], prior: float, most_steps: int = 10_000, tolerance: float = 1e-9) -> float:
    """Estimate the share of the finding among new scans without their labels, by expectation maximisation.

    Each step corrects the probabilities to the share found so far and takes their mean as the next share (equation 9
    of the source), which makes the scores likelier each time. It is as good as the calibration of `p`.

    Args:
        p: float64 (n,), the calibrated probability of the finding of the new scans, 0 to 1.
        prior: Share of the finding that `p` was calibrated on, above 0 and below 1. The first share, too.
        most_steps: Steps after which the share is taken as it is.
        tolerance: Change of the share in one step from which on it counts as found.

    Returns:
        0 to 1.

    Raises:
        EvaluationError: No scans, or a value is out of bounds.
    """
    _check(p, prior)
    if not len(p):
        raise EvaluationError("an estimate of the prevalence needs at least one scan. Received: 0 scans")
    share = prior
    for _ in range(most_steps):
        before, share = share, float(adjust_prior(p, prior, share).mean())
        if abs(share - before) <= tolerance:
            break
    return share


def _check(p: NDArray[np.float64], prior: float) -> None:
    wrong = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if len(wrong):
        raise EvaluationError(f"a probability must be within 0 to 1. Received: {p[wrong[0]]} in row {wrong[0]}")
    if not 0 < prior < 1:
        raise EvaluationError(f"prior must be above 0 and below 1. Received: prior={prior}")
