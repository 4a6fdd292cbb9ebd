"""Temperature scaling: one number, fitted on validation scans, that corrects a network's over- or underconfidence.

It divides the logits, so it changes how sure a model is of a scan and never which class it holds for likeliest.
With two classes it keeps the order of the scans too, and with it AUC, as long as rounding makes no scores equal.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from xray.errors import EvaluationError
from xray.evaluation.metrics.multiclass import check

BOUNDS = (0.05, 20.0)
"""Least and greatest temperature that is fitted. A model that is always right would ask for 0."""

_FLOOR = 1e-7  # within the fit alone: one scan that was given probability 0 must not decide by itself


def apply_temperature(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Soften (above 1) or sharpen (below 1) probabilities: softmax(log p / temperature).

    Args:
        probabilities: float (n, k), 0 to 1, each row adding up to 1. Two classes are the finding and normal.
        temperature: Above 0; 1 changes nothing, to the last bit.

    Returns:
        float64 (n, k), 0 to 1, each row adding up to 1. 0 stays 0, a sure 1 stays 1.

    Raises:
        EvaluationError: A value is out of bounds, or a row does not add up to 1.

    References:
        Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    check(probabilities)
    if not 0 < temperature < np.inf:
        raise EvaluationError(f"temperature must be above 0 and finite. Received: temperature={temperature}")
    p = np.asarray(probabilities, dtype=np.float64)
    if temperature == 1:
        return p.copy()
    with np.errstate(divide="ignore"):  # log 0 is minus infinity, which softmax turns into 0 again
        return np.asarray(softmax(np.log(p) / temperature, axis=1))


def fit_temperature(probabilities: NDArray[np.floating], class_index: NDArray[np.int64]) -> float:
    """Find the temperature with the least negative log likelihood of the labels.

    Args:
        probabilities: float (n, k), 0 to 1, each row adding up to 1.
        class_index: int64 (n,), the true class of each scan, 0 to k - 1; -1, not known, leaves a scan out.

    Returns:
        Within `BOUNDS`. Never one that is worse than 1 on these scans.

    Raises:
        EvaluationError: A value is out of bounds, a row does not add up to 1, or no scan has a class.

    References:
        Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    check(probabilities, class_index)
    known = class_index >= 0
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64)[known], _FLOOR, 1 - _FLOOR)
    logits, truth = np.log(clipped), class_index[known, None]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - np.take_along_axis(scaled, truth, axis=1)[:, 0]))

    ends = np.log(BOUNDS)
    found = minimize_scalar(loss, bounds=tuple(ends), method="bounded")
    # The search comes near an end and never to it; 1 comes first, so that it is kept where nothing is better.
    best = min((0.0, *ends, found.x), key=loss)
    return float(np.clip(np.exp(best), *BOUNDS))
