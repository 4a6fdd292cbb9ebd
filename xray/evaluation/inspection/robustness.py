"""What a model loses on changed scans: every metric before and after, on the same scans with the same draws."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.inspection.perturbations import ROBUSTNESS, Perturbation
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics import names
from xray.evaluation.metrics.bootstrap import Estimate, Statistics, bootstrap, flat_estimates
from xray.evaluation.metrics.split_metrics import labels_and_scores, split_of

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""From uint8 (n, height, width), 0 to 255, to the probability of the finding, float64 (n,), 0 to 1."""

METRICS = names.HEADLINE
COLUMNS = ("change", *METRICS)
"""What the columns of `Robustness.rows` hold. The first row has the figures of the scans as they are in their place."""

UNCHANGED = "unchanged"

_SCANS_AT_ONCE = 512  # 46 MB at 300 x 300
_SCANS_TRIED = 16
_SCORES_DIFFER = 0.01
"""Far more than rounding, and far less than what scans in another order, or another model, would show."""


@dataclass(frozen=True)
class Robustness:
    """One model on scans as they are and on the same scans changed.

    Attributes:
        split: "train", "validation" or "test".
        scans: Number of scans.
        patients: Number of patients.
        threshold: 0 to 1, the model's stored one.
        changes: Names of the changes, in order.
        figures: `CHANGE.FIGURE` is a figure on the changed scans, 0 to 1, `CHANGE.FIGURE_loss` what it is lower than on
            the scans as they are, -1 to 1, and `unchanged.FIGURE` the figure on those. For each of `METRICS`.
    """

    split: str
    scans: int
    patients: int
    threshold: float
    changes: tuple[str, ...]
    figures: Mapping[str, Estimate]

    def flat(self, prefix: str) -> dict[str, float]:
        """Give every number as MLflow names it: `robustness.jpeg_30.auc_loss`, and with `_low` and `_high`.

        The figures of the scans as they are have their entry in the split's evaluation.
        """
        return flat_estimates(prefix, {name: each for name, each in self.figures.items() if not _is_unchanged(name)})

    def rows(self) -> list[tuple[str, ...]]:
        """Write the losses in words, a row a change, under `COLUMNS`."""
        first = ("none: the figures, no losses", *(str(self.figures[f"{UNCHANGED}.{name}"]) for name in METRICS))
        return [first, *((spoken(change), *map(str, self.losses(change).values())) for change in self.changes)]

    def losses(self, change: str) -> dict[str, Estimate]:
        """Give the loss of each of `METRICS` by a change; below 0 where the changed scans do better."""
        return {name: self.figures[f"{change}.{name}_loss"] for name in METRICS}


def robustness(
    predict: Predict,
    pixels: NDArray[np.uint8],
    scores: pd.DataFrame,
    threshold: float,
    evaluation: config.Evaluation,
    changes: Mapping[str, Perturbation] = ROBUSTNESS,
) -> Robustness:
    """Measure what each change costs a model, with 95 % intervals by patient.

    A loss is paired: the same patients are drawn for the scans before and after. Several losses are looked at at once
    and none of the intervals is widened for that.

    Args:
        predict: The model, as it gave `p_FINDING`.
        pixels: uint8 (n, height, width), 0 to 255, in the order of `scores`; a memory map is read a part at a time.
        scores: A row a scan: patient_id, label, subtype, split (one and the same), p_FINDING (0 to 1).
        threshold: 0 to 1, the model's stored one.
        evaluation: Seed and draws.
        changes: By name.

    Raises:
        EvaluationError: The scores cannot be judged or are of several splits, or `predict` and `pixels` do not give
            them.
    """
    y, whole = labels_and_scores(scores)
    metrics.check(y, whole, threshold)
    split = split_of(scores)
    _check_the_same(predict, pixels, whole)
    predicted = {UNCHANGED: whole, **{name: _predicted(predict, change, pixels) for name, change in changes.items()}}
    for p in predicted.values():
        metrics.check(y, p, threshold)
    estimates = bootstrap(
        _with_losses(y, predicted, threshold),
        scores["patient_id"].tolist(),
        evaluation.seed,
        evaluation.bootstrap_draws,
    )
    return Robustness(
        split=split,
        scans=len(scores),
        patients=int(scores["patient_id"].nunique()),
        threshold=threshold,
        changes=tuple(changes),
        figures={name: estimate for name, estimate in estimates.items() if estimate is not None},
    )


def spoken(change: str) -> str:
    """Write a change's name as words."""
    return change.replace("_", " ")


def _is_unchanged(name: str) -> bool:
    return name.startswith(f"{UNCHANGED}.")


def _with_losses(y: NDArray[np.bool_], predicted: Mapping[str, NDArray[np.float64]], threshold: float) -> Statistics:
    """Compute every figure of every change, and what it is lower than on the scans as they are."""

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {
            f"{change}.{name}": values
            for change, p in predicted.items()
            for name, values in _figures(y, p, threshold, weights).items()
        }
        losses = {
            f"{change}.{name}_loss": found[f"{UNCHANGED}.{name}"] - found[f"{change}.{name}"]
            for change in predicted
            if change != UNCHANGED
            for name in METRICS
        }
        return found | losses

    return statistics


def _figures(
    y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    decided = metrics.decision_figures(y, p, threshold, weights)
    found = {"auc": metrics.auc(metrics.ranking(y, p, weights)), **decided}
    return {name: found[name] for name in METRICS}


def _predicted(predict: Predict, change: Perturbation, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    starts = range(0, len(pixels), _SCANS_AT_ONCE)
    return np.concatenate([predict(change(np.asarray(pixels[at : at + _SCANS_AT_ONCE]))) for at in starts])


def _check_the_same(predict: Predict, pixels: NDArray[np.uint8], p: NDArray[np.float64]) -> None:
    if len(pixels) != len(p):
        raise EvaluationError(f"pixels must be one image per scan. Received: {len(pixels)} for {len(p)} scans")
    apart = np.abs(predict(np.asarray(pixels[:_SCANS_TRIED])) - p[:_SCANS_TRIED])
    if apart.max() > _SCORES_DIFFER:
        raise EvaluationError(
            "pixels must be in the order of scores, and predict the model that gave p_FINDING. "
            f"Received: scan {apart.argmax()} scored {apart.max():.3f} off its p_FINDING"
        )
