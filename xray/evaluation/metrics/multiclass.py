"""The metrics of a model with several classes: each class against the rest, and their means.

A scan is called the class of the highest probability, the first of equal ones. A class with few scans still counts
among the rest of the others, and in the accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.labels import Scheme, class_columns

LEAST_SCANS = 10
"""No figure for a class, subtype or source with fewer scans."""

METRICS = ("auc", "sensitivity", "specificity", "precision", "f1")
MACRO = ("auc", "f1", "sensitivity")
"""Figures whose mean over the classes is given."""

COLUMNS = ("metric", "of the most likely class")
"""What the columns of `ClassEvaluation.rows` hold."""


@dataclass(frozen=True)
class ClassScores:
    """A model's scores of one split.

    Attributes:
        split: "train", "validation", "test" or "out_of_fold".
        classes: k names, in the order of the model's outputs.
        class_index: int64 (n,), the true class, 0 to k - 1, or -1 for a scan of none, which is left out.
        probabilities: float64 (n, k), 0 to 1, each row adding up to 1.
        patients: n patient ids, one a scan.
    """

    split: str
    classes: Sequence[str]
    class_index: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    patients: Sequence[str]


@dataclass(frozen=True)
class ClassEvaluation:
    """Metrics of a model with several classes.

    Attributes:
        split: As in `ClassScores`.
        scans: Scans that have a class.
        patients: Patients of those scans.
        classes: k names.
        confusion: int64 (k, k), scans by true class (row) and called class (column).
        figures: `class_figures` by name, each with its interval; None for one that the scans leave undefined.
        few: `too_few`, the classes that have no figure.
    """

    split: str
    scans: int
    patients: int
    classes: Sequence[str]
    confusion: NDArray[np.int64]
    figures: Mapping[str, Estimate | None]
    few: Mapping[str, int]

    def flat(self, prefix: str) -> dict[str, float]:
        """Give every number as MLflow names it: `PREFIX.auc_viral`, `PREFIX.auc_viral_low`, `PREFIX.scans_viral`."""
        estimates = {name: estimate for name, estimate in self.figures.items() if estimate is not None}
        counts = {
            "scans": self.scans,
            "patients": self.patients,
            "draws_left_out": max(estimate.left_out for estimate in estimates.values()),
            **{f"scans_{name}": row.sum() for name, row in zip(self.classes, self.confusion, strict=True)},
        }
        named = {f"{prefix}.{name}": float(count) for name, count in counts.items()}
        return named | flat_estimates(prefix, estimates)

    def rows(self) -> list[tuple[str, str]]:
        """Write the table in words, a row for each figure, under `COLUMNS`."""
        counts = zip(self.classes, self.confusion.sum(axis=1), strict=True)
        return [
            ("scans (patients)", f"{self.scans:,} ({self.patients:,})"),
            *((f"{name} scans", f"{scans:,}") for name, scans in counts if name not in self.few),
            *((name.replace("_", " "), str(figure or "undefined")) for name, figure in self.figures.items()),
            *((name, f"{scans} scans, too few") for name, scans in self.few.items()),
        ]


def class_scores(scores: pd.DataFrame, classes: Sequence[str]) -> ClassScores:
    """Read a scores table of one split.

    Args:
        scores: A row a scan: patient_id, subtype, split (one and the same) and p_CLASS for each class.
        classes: k names of a scheme, in its order.
    """
    scheme = Scheme("", tuple(classes))
    return ClassScores(
        split=str(scores["split"].iloc[0]),
        classes=classes,
        class_index=scheme.class_index(scores["subtype"]),
        probabilities=scores[class_columns(classes)].to_numpy(dtype=np.float64),
        patients=scores["patient_id"].tolist(),
    )


def class_figures(
    classes: Sequence[str],
    class_index: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Compute each class's figures against the rest, their means over the classes, and the accuracy.

    Args:
        classes: k names, in the order of the columns.
        class_index: int64 (n,), the true class, 0 to k - 1, or -1 for a scan of none, which is left out.
        probabilities: float64 (n, k), 0 to 1.
        weights: float64 (draws, n), 0 or more.

    Returns:
        accuracy; macro_auc, macro_f1, macro_sensitivity, where any class has enough scans; then for each class with at
        least `LEAST_SCANS` scans auc_CLASS, sensitivity_CLASS, specificity_CLASS, precision_CLASS, f1_CLASS. Each
        float64 (draws,), 0 to 1, NaN in draws where a figure, or one of those it is the mean of, is undefined.
    """
    known = class_index >= 0
    truth, p, weights = class_index[known], probabilities[known], weights[:, known]
    called = p.argmax(axis=1)
    few = too_few(classes, class_index)
    found: dict[str, NDArray[np.float64]] = {}
    for place, name in enumerate(classes):
        if name not in few:
            figures = _against_the_rest(truth == place, p[:, place], called == place, weights)
            found |= {f"{figure}_{name}": figures[figure] for figure in METRICS}
    enough = [name for name in classes if name not in few]
    means = {
        f"macro_{figure}": np.mean([found[f"{figure}_{name}"] for name in enough], axis=0) for figure in MACRO if enough
    }
    accuracy = metrics.ratio(weights @ (truth == called), weights.sum(axis=1))
    return {"accuracy": accuracy, **means, **found}


def too_few(classes: Sequence[str], class_index: NDArray[np.int64]) -> dict[str, int]:
    """Name the classes with fewer than `LEAST_SCANS` scans, each with its number of scans."""
    scans = np.bincount(class_index[class_index >= 0], minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, scans, strict=True) if count < LEAST_SCANS}


def evaluate_classes(scores: ClassScores, evaluation: config.Evaluation) -> ClassEvaluation:
    """Evaluate a model's classes on one split, with 95 % intervals by patient.

    Args:
        scores: The scans, what they are, and what the model made of them.
        evaluation: Seed and draws.

    Raises:
        EvaluationError: Lengths differ, a value is out of bounds, or no scan has a class.
    """
    check(scores.probabilities, scores.class_index)
    shape = (len(scores.patients), len(scores.classes))
    if scores.probabilities.shape != shape:
        raise EvaluationError(
            f"probabilities must be a row a patient id and a column a class, {shape}. "
            f"Received: {scores.probabilities.shape}"
        )
    known = scores.class_index >= 0
    truth, p = scores.class_index[known], scores.probabilities[known]
    patients = np.asarray(scores.patients, dtype=str)[known]

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return class_figures(scores.classes, truth, p, weights)

    k = len(scores.classes)
    return ClassEvaluation(
        split=scores.split,
        scans=len(truth),
        patients=len(np.unique(patients)),
        classes=tuple(scores.classes),
        confusion=np.bincount(truth * k + p.argmax(axis=1), minlength=k * k).reshape(k, k),
        figures=bootstrap(statistics, patients.tolist(), evaluation.seed, evaluation.bootstrap_draws),
        few=too_few(scores.classes, truth),
    )


def check(probabilities: NDArray[np.floating], class_index: NDArray[np.int64] | None = None) -> None:
    """Refuse probabilities that are none, and classes that do not go with them.

    Args:
        probabilities: float (n, k) with k at least 2, 0 to 1, each row adding up to 1 within 0.0001.
        class_index: int64 (n,), -1 to k - 1, where it is asked for at least one of 0 or more.

    Raises:
        EvaluationError: One of these does not hold.
    """
    shape = np.shape(probabilities)
    if len(shape) != 2 or shape[1] < 2:
        raise EvaluationError(f"probabilities must be a row a scan and a column a class. Received: shape {shape}")
    bad = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1) | ~(np.abs(probabilities.sum(axis=1) - 1) < 1e-4)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise EvaluationError(
            f"probabilities must be within 0 to 1 and add up to 1. Received: {probabilities[row].tolist()} in row {row}"
        )
    if class_index is None:
        return
    if np.shape(class_index) != shape[:1]:
        raise EvaluationError(f"class_index must be one a scan. Received: {np.shape(class_index)} for {shape[0]} scans")
    wrong = np.flatnonzero((class_index < -1) | (class_index >= shape[1]))
    if len(wrong):
        raise EvaluationError(
            f"class_index must be within -1 to {shape[1] - 1}. Received: {class_index[wrong[0]]} in row {wrong[0]}"
        )
    if not (class_index >= 0).any():
        raise EvaluationError(f"at least one scan must have a class. Received: {shape[0]} scans, none with one")


def _against_the_rest(
    y: NDArray[np.bool_], p: NDArray[np.float64], called: NDArray[np.bool_], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    decisions = called.astype(np.float64)  # a decision is a score of 1 or 0
    counts = metrics.confusion(y, decisions, 0.5, weights)
    return {
        "auc": metrics.auc(metrics.ranking(y, p, weights)),
        "precision": metrics.ratio(counts.tp, counts.tp + counts.fp),
        **metrics.decision_figures(y, decisions, 0.5, weights),
    }
