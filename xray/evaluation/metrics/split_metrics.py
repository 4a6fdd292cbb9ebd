"""The evaluation of one split: every metric with its interval, at the chosen threshold and at 0.5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics import names
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.labels import CAUSE_OF_SUBTYPE, NORMAL, PNEUMONIA, finding_in, p_column

HALF = 0.5
CAUSES = ("bacterial", "viral")
"""Causes of pneumonia whose sensitivity is reported apart."""

COLUMNS = ("metric", "at the chosen threshold", "at 0.5")
"""What the columns of `Evaluation.rows` hold."""


@dataclass(frozen=True)
class OperatingPoint:
    """The metrics of the scores at one threshold.

    Attributes:
        threshold: 0 to 1; a scan is called the finding from there on.
        figures: accuracy, sensitivity, specificity, f1.
        by_cause: Sensitivity for each of `CAUSES` of a pneumonia; None where there are no scans.
        confusion: Scans counted as tp, fp, tn, fn.
    """

    threshold: float
    figures: Mapping[str, Estimate]
    by_cause: Mapping[str, Estimate | None]
    confusion: Mapping[str, int]


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model on one split.

    Attributes:
        split: "train", "validation" or "test".
        scans: Number of scans.
        patients: Number of patients.
        finding: What positive means.
        prevalence: Share of the scans that have the finding, 0 to 1.
        bins: Bins of the calibration error.
        ranking: Figures that need no threshold: auc, average_precision, brier, calibration_error.
        chosen: The operating point at the threshold chosen on validation.
        half: The operating point at 0.5.
    """

    split: str
    scans: int
    patients: int
    finding: str
    prevalence: float
    bins: int
    ranking: Mapping[str, Estimate]
    chosen: OperatingPoint
    half: OperatingPoint

    def named(self) -> dict[str, Estimate | None]:
        """Give every estimate by its name: `sensitivity_viral` for a cause, `accuracy_at_half` for 0.5."""
        named: dict[str, Estimate | None] = dict(self.ranking)
        for point, suffix in ((self.chosen, ""), (self.half, "_at_half")):
            named |= {f"{name}{suffix}": figure for name, figure in point.figures.items()}
            named |= {f"sensitivity_{cause}{suffix}": figure for cause, figure in point.by_cause.items()}
        return named

    def flat(self) -> dict[str, float]:
        """Give every number as MLflow names it: `test.auc`, `test.auc_low`, `test.auc_high`, `test.tp`.

        What is undefined has no entry. `test.draws_left_out` is the most that any figure's bootstrap left out.
        """
        estimates = {name: estimate for name, estimate in self.named().items() if estimate is not None}
        numbers = {
            "scans": self.scans,
            "patients": self.patients,
            "prevalence": self.prevalence,
            "threshold": self.chosen.threshold,
            "draws_left_out": max(estimate.left_out for estimate in estimates.values()),
            **self.chosen.confusion,
            **{f"{name}_at_half": count for name, count in self.half.confusion.items()},
        }
        counts = {f"{self.split}.{name}": float(number) for name, number in numbers.items()}
        return counts | flat_estimates(self.split, estimates)

    def rows(self) -> list[tuple[str, str, str]]:
        """Write the results table, a row of words for each figure, under `COLUMNS`."""
        named = self.named()
        rows = [
            ("scans (patients)", f"{self.scans:,} ({self.patients:,})", ""),
            (self.finding, f"{self.prevalence:.1%}", ""),
            ("threshold", f"{self.chosen.threshold:.3f}", f"{self.half.threshold:.3f}"),
        ]
        rows += [(name.replace("_", " "), str(figure), "") for name, figure in self.ranking.items()]
        for name in (*self.chosen.figures, *(f"sensitivity_{cause}" for cause in self.chosen.by_cause)):
            words = [str(named[key] or "no scans") for key in (name, f"{name}_at_half")]
            rows.append((name.replace("_", " "), words[0], words[1]))
        counts = [", ".join(map(str, point.confusion.values())) for point in (self.chosen, self.half)]
        rows.append(("tp, fp, tn, fn", counts[0], counts[1]))
        return rows


def evaluate_split(scores: pd.DataFrame, threshold: float, evaluation: config.Evaluation) -> Evaluation:
    """Evaluate the scores of one split.

    Args:
        scores: A row a scan: patient_id, label, subtype, split (one and the same), p_FINDING (0 to 1).
        threshold: 0 to 1, chosen on validation.
        evaluation: Seed, draws and bins.

    Raises:
        EvaluationError: A column is missing, an id, label or subtype is not known, the rows are of several splits or
            of one label, or a value is out of bounds.
    """
    y, p = labels_and_scores(scores)
    metrics.check(y, p, threshold)
    split = split_of(scores)
    masks = _cause_masks(scores)
    bins = evaluation.calibration_bins

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = metrics.ranking_figures(y, p, bins, weights)
        for point, suffix in ((threshold, ""), (HALF, "_at_half")):
            at_point = metrics.decision_figures(y, p, point, weights)
            for cause, mask in masks.items():
                at_point[f"sensitivity_{cause}"] = metrics.ratio(weights @ (mask & (p >= point)), weights @ mask)
            found |= {f"{name}{suffix}": values for name, values in at_point.items()}
        return found

    estimates = bootstrap(statistics, scores["patient_id"].tolist(), evaluation.seed, evaluation.bootstrap_draws)
    point_of = partial(_operating_point, estimates, y, p, tuple(masks))
    return Evaluation(
        split=split,
        scans=len(scores),
        patients=int(scores["patient_id"].nunique()),
        finding=finding_in(scores.columns),
        prevalence=float(y.mean()),
        bins=bins,
        ranking=_defined(estimates, names.RANKING),
        chosen=point_of(threshold, ""),
        half=point_of(HALF, "_at_half"),
    )


def labels_and_scores(scores: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Read a scores table as y, bool (n,), True has the finding that it is about, and p, float64 (n,).

    Raises:
        EvaluationError: A column is missing, an id is empty, or a label is not known.
    """
    finding = finding_in(scores.columns)
    needed = ("patient_id", "label", "subtype", "split", p_column(finding))
    if missing := set(needed) - set(scores.columns):
        raise EvaluationError(f"scores must have {', '.join(needed)}. Missing: {sorted(missing)}")
    if unknown := sorted(set(map(str, scores["label"])) - {finding, NORMAL}):
        raise EvaluationError(f"label must be among {(finding, NORMAL)}. Received: {unknown}")
    if scores["patient_id"].isna().any():
        raise EvaluationError(
            f"every scan must have a patient_id. Received: {scores['patient_id'].isna().sum()} without"
        )
    p = pd.to_numeric(scores[p_column(finding)], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return (scores["label"] == finding).to_numpy(dtype=bool), p


def with_finding(rows: pd.DataFrame, finding: str) -> pd.DataFrame:
    """Call every label but `normal` the finding, as a scheme of several classes does; subtypes stay.

    Args:
        rows: One row a scan, with `label`.
        finding: What the scheme tells from normal.
    """
    return rows.assign(label=rows["label"].where(rows["label"] == NORMAL, finding))


def split_of(scores: pd.DataFrame) -> str:
    """Name the split that a scores table is of.

    Raises:
        EvaluationError: The rows are of several splits, or there are none.
    """
    splits = sorted(map(str, scores["split"].unique()))
    if len(splits) != 1:
        raise EvaluationError(f"scores must be of one split. Received: {splits}")
    return splits[0]


def _cause_masks(scores: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    if finding_in(scores.columns) != PNEUMONIA:
        return {}
    causes = scores["subtype"].map(CAUSE_OF_SUBTYPE)
    return {cause: (causes == cause).to_numpy(dtype=bool) for cause in CAUSES}


def _defined(estimates: Mapping[str, Estimate | None], names: tuple[str, ...], suffix: str = "") -> dict[str, Estimate]:
    return {name: estimate for name in names if (estimate := estimates[name + suffix]) is not None}


def _operating_point(
    estimates: Mapping[str, Estimate | None],
    y: NDArray[np.bool_],
    p: NDArray[np.float64],
    causes: Sequence[str],
    threshold: float,
    suffix: str,
) -> OperatingPoint:
    counts = vars(metrics.confusion(y, p, threshold, metrics.unit_weights(len(y))))
    return OperatingPoint(
        threshold=threshold,
        figures=_defined(estimates, names.DECISION, suffix),
        by_cause={cause: estimates[f"sensitivity_{cause}{suffix}"] for cause in causes},
        confusion={name: int(count[0]) for name, count in counts.items()},
    )
