"""Predictive values: the share of correct answers among scans called positive (PPV) and called normal (NPV).

Both depend on how common the finding is among the scans, so they are carried to other shares of it by Bayes: among
the sick and among the well scans, the same shares are called positive, called normal and referred as here. That holds
as far as sick and well scans look there as they do here.
"""

import numpy as np
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.decision.referral import Band
from xray.evaluation.metrics.binary import ratio

PREVALENCES = (0.05, 0.1, 0.2, 0.5)
"""Shares of the finding, from few to half of the scans, that a reader may have where the model is used."""

VALUES = ("ppv", "npv")


def predictive_values(
    y: NDArray[np.bool_],
    p: NDArray[np.float64],
    band: Band,
    threshold: float,
    weights: NDArray[np.float64],
    prevalence: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Compute the predictive values; referred scans do not count.

    Args:
        y: bool (n,), True has the finding.
        p: float64 (n,), the probability of the finding, 0 to 1.
        band: The referred scores.
        threshold: 0 to 1, within the band.
        weights: float64 (draws, n), 0 or more, with a positive sum in each draw.
        prevalence: Share of the finding where the model is used, 0 to 1; None takes that of the weighted scans.

    Returns:
        `ppv` and `npv`, float64 (draws,), 0 to 1, NaN in draws where a label is missing or no scan is called so.

    Raises:
        EvaluationError: The prevalence is out of bounds.
    """
    if prevalence is not None and not 0 <= prevalence <= 1:
        raise EvaluationError(f"prevalence must be within 0 to 1. Received: prevalence={prevalence}")
    answered = ~band.referred(p)
    called, cleared = answered & (p >= threshold), answered & (p < threshold)
    positive, well = weights @ y, weights @ ~y
    share = positive / (positive + well) if prevalence is None else np.full_like(positive, prevalence)
    found, alarmed = share * ratio(weights @ (called & y), positive), (1 - share) * ratio(weights @ (called & ~y), well)
    missed, spared = (
        share * ratio(weights @ (cleared & y), positive),
        (1 - share) * ratio(weights @ (cleared & ~y), well),
    )
    return {"ppv": ratio(found, found + alarmed), "npv": ratio(spared, spared + missed)}
