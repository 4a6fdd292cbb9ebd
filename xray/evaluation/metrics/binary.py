"""The metrics of a binary classifier. Positive always means the finding.

Every figure has one implementation, from weights (how often each scan counts): unit weights give the point
estimate, bootstrap weights the draws behind its interval, and the curves of the pictures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.metrics.calibration import calibration_error


@dataclass(frozen=True)
class Confusion:
    """Weighted counts of right and wrong decisions, each float64 (draws,)."""

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    tn: NDArray[np.float64]
    fn: NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """What every cut through the scores calls positive, from the highest score down.

    Attributes:
        scores: float64 (cuts,), the distinct scores, falling. A cut calls a scan positive from its score on.
        tp: float64 (draws, cuts), weight of scans with the finding at or above each score.
        fp: float64 (draws, cuts), weight of normal scans at or above each score.
    """

    scores: NDArray[np.float64]
    tp: NDArray[np.float64]
    fp: NDArray[np.float64]


def unit_weights(scans: int) -> NDArray[np.float64]:
    """Count every scan once: ones, float64 (1, scans)."""
    return np.ones((1, scans))


def compute_metrics(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, bins: int = 15) -> dict[str, float]:
    """Compute every figure on the scans as they are.

    Args:
        y: bool (n,), True has the finding. Both classes must be there.
        p: float64 (n,), the probability of the finding, 0 to 1.
        threshold: 0 to 1; a scan is called positive from there on.
        bins: Number of equal-width bins for the calibration error.

    Returns:
        accuracy, auc, average_precision, sensitivity, specificity, f1, brier, calibration_error, each 0 to 1,
        and the counts tp, fp, tn, fn.

    Raises:
        EvaluationError: Lengths differ, a value is out of bounds or NaN, or a class is missing.
    """
    check(y, p, threshold)
    weights = unit_weights(len(y))
    counts = vars(confusion(y, p, threshold, weights))
    found = ranking_figures(y, p, bins, weights) | decision_figures(y, p, threshold, weights) | counts
    return {name: float(values[0]) for name, values in found.items()}


def check(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float = 0.5) -> None:
    """Refuse scores from which no metric can be computed.

    Raises:
        EvaluationError: Lengths differ, a value is out of bounds or NaN, or a class is missing.
    """
    if np.ndim(y) != 1 or np.shape(y) != np.shape(p):
        raise EvaluationError(f"labels and scores must have one length. Received: {np.shape(y)} and {np.shape(p)}")
    wrong = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if len(wrong):
        raise EvaluationError(f"a probability must be within 0 to 1. Received: {p[wrong[0]]} in row {wrong[0]}")
    if not 0 <= threshold <= 1:
        raise EvaluationError(f"threshold must be within 0 to 1. Received: threshold={threshold}")
    positives = int(np.count_nonzero(y))
    if positives in (0, len(y)):
        raise EvaluationError(
            f"scans must have both labels. Received: {positives} with the finding, {len(y) - positives} normal"
        )


def ranking(y: NDArray[np.bool_], p: NDArray[np.float64], weights: NDArray[np.float64]) -> Ranking:
    """Cut the scans at every distinct score; equal scores fall together.

    Args:
        y: bool (n,), True has the finding.
        p: float64 (n,), 0 to 1.
        weights: float64 (draws, n), 0 or more.
    """
    order = np.argsort(-p, kind="stable")
    falling = p[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(p) - 1)  # last scan of each distinct score
    ordered, positive = weights[:, order], y[order]
    tp = np.cumsum(ordered * positive, axis=1)[:, last]
    fp = np.cumsum(ordered * ~positive, axis=1)[:, last]
    return Ranking(falling[last], tp, fp)


def ranking_figures(
    y: NDArray[np.bool_], p: NDArray[np.float64], bins: int, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Compute the figures that need no threshold: auc, average_precision, brier, calibration_error.

    AUC counts a tie as half; average precision adds up precision by steps of recall, without interpolation.

    Args:
        y: bool (n,), True has the finding.
        p: float64 (n,), the probability of the finding, 0 to 1.
        bins: Number of equal-width bins for the calibration error.
        weights: float64 (draws, n), 0 or more, with a positive sum in each draw.

    Returns:
        float64 (draws,) each, 0 to 1, NaN in draws where a class that the figure needs is missing.
    """
    cuts = ranking(y, p, weights)
    tp_steps = np.diff(cuts.tp, axis=1, prepend=0)
    # A cut above every drawn scan has no precision; its step of recall is zero, so it adds nothing.
    precision = np.nan_to_num(ratio(cuts.tp, cuts.tp + cuts.fp))
    return {
        "auc": auc(cuts),
        "average_precision": ratio((tp_steps * precision).sum(axis=1), cuts.tp[:, -1]),
        "brier": weights @ np.square(p - y) / weights.sum(axis=1),
        "calibration_error": calibration_error(y, p, bins, weights),
    }


def auc(cuts: Ranking) -> NDArray[np.float64]:
    """Compute the area under the ROC curve, a tie counted as half: float64 (draws,), NaN where a class is missing."""
    tp_steps = np.diff(cuts.tp, axis=1, prepend=0)
    fp_steps = np.diff(cuts.fp, axis=1, prepend=0)
    return ratio((fp_steps * (cuts.tp - tp_steps / 2)).sum(axis=1), cuts.tp[:, -1] * cuts.fp[:, -1])


def decision_figures(
    y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float | NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Compute the figures of one threshold: accuracy, sensitivity, specificity, f1.

    Arguments and result are as for `ranking_figures`; `threshold` is 0 to 1, one for all scans or float64 (n,).
    """
    counts = confusion(y, p, threshold, weights)
    return {
        "accuracy": ratio(counts.tp + counts.tn, weights.sum(axis=1)),
        "sensitivity": ratio(counts.tp, counts.tp + counts.fn),
        "specificity": ratio(counts.tn, counts.tn + counts.fp),
        "f1": ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn),
    }


def confusion(
    y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float | NDArray[np.float64], weights: NDArray[np.float64]
) -> Confusion:
    """Count right and wrong decisions at a threshold, by weight; a scan is called positive from the threshold on."""
    called = p >= threshold
    return Confusion(
        tp=weights @ (y & called), fp=weights @ (~y & called), tn=weights @ (~y & ~called), fn=weights @ (y & ~called)
    )


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide, giving NaN where the whole is zero: a draw to be left out."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
