"""Two models compared on the same scans: paired differences, and McNemar's test.

Both models are drawn with the same patients, so what makes a scan hard for both cancels out. Several figures are tested
at once and none of the intervals is widened for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap
from xray.evaluation.metrics.names import ALL
from xray.evaluation.metrics.split_metrics import labels_and_scores
from xray.labels import finding_in

COLUMNS = ("metric", "first", "second", "difference (95 % interval)", "result")
"""What the columns of `Comparison.rows` hold."""

CAUTION = (
    "Lower brier and calibration error are better. The last row counts scans that only one decides correctly. Several "
    "metrics are tested at once, without correction: of twenty without a true difference, about one is significant. "
    "McNemar's test treats a patient's scans as independent."
)
SIGNIFICANT = 0.05
SCAN = ("sha256", "patient_id", "label")
"""What makes two rows the same scan: its file, and what the catalogs say of it."""


@dataclass(frozen=True)
class Difference:
    """One figure of two models on the same scans.

    Attributes:
        first: The first model's, 0 to 1.
        second: The second model's, 0 to 1.
        difference: second - first, -1 to 1, with its 95 % interval.
    """

    first: float
    second: float
    difference: Estimate

    @property
    def is_real(self) -> bool:
        """Whether the interval excludes 0; without an interval nothing is significant."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two models' decisions.

    It takes scans for independent; where patients have several, the p-value is somewhat too small.

    Attributes:
        only_first_right: Scans that the first model alone decides rightly.
        only_second_right: Scans that the second model alone decides rightly.
        p_value: Chance of a split at least as uneven if neither is better, two-sided, 0 to 1; 1 without such scans.
    """

    only_first_right: int
    only_second_right: int
    p_value: float

    @property
    def is_real(self) -> bool:
        """Whether the p-value is below `SIGNIFICANT`."""
        return self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Comparison:
    """Two models on the same scans.

    Attributes:
        split: "train", "validation" or "test".
        scans: Number of scans.
        patients: Number of patients.
        differences: For each of `names.ALL`, in that order.
        mcnemar: The decisions, each model's at its own threshold.
    """

    split: str
    scans: int
    patients: int
    differences: Mapping[str, Difference]
    mcnemar: McNemar

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Write the comparison in words, a row a figure and one for the decisions, under `COLUMNS`."""
        rows = []
        for name, each in self.differences.items():
            rows.append(
                (
                    name.replace("_", " "),
                    f"{each.first:.3f}",
                    f"{each.second:.3f}",
                    _signed(each.difference),
                    _verdict(each),
                )
            )
        test = self.mcnemar
        alone = (str(test.only_first_right), str(test.only_second_right))
        return [*rows, ("scans only it decides correctly", *alone, f"McNemar's p = {test.p_value:.3g}", _verdict(test))]


def compare(
    first: pd.DataFrame, second: pd.DataFrame, thresholds: tuple[float, float], evaluation: config.Evaluation
) -> Comparison:
    """Compare two models' scores of the same scans.

    Args:
        first: A row a scan: image_id, sha256, patient_id, label, subtype, split (one and the same) and
            p_FINDING (0 to 1).
        second: The same scans in any order, scored by the other model.
        thresholds: The first and the second model's, 0 to 1.
        evaluation: Seed and draws of the bootstrap, and bins of the calibration error.

    Raises:
        EvaluationError: The scans are not the same or not of one split, or the scores cannot be judged.
    """
    split = _split(first, second)
    ours, theirs = shared(first, second)
    if not len(ours) == len(first) == len(second):
        raise EvaluationError(
            "models must be compared on the same scans, with the same patients and labels. "
            f"Received: {len(first)} and {len(second)} scans, {len(ours)} of them shared"
        )
    y, p = labels_and_scores(ours)
    q = labels_and_scores(theirs)[1]
    return Comparison(
        split=split,
        scans=len(ours),
        patients=int(ours["patient_id"].nunique()),
        differences=_differences(y, (p, q), thresholds, ours["patient_id"].tolist(), evaluation),
        mcnemar=mcnemar((p >= thresholds[0]) == y, (q >= thresholds[1]) == y),
    )


def shared(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the scans that two tables of scores share: the same file, patient and label.

    Args:
        first: A row a scan, with at least the columns that `compare` needs.
        second: Likewise.

    Returns:
        The rows of each that the other has too, in one order. Copies of a file are paired one to one, by `image_id`.

    Raises:
        EvaluationError: A column is missing, an id is empty, or a label is not known.
    """
    told = [finding_in(table.columns) for table in (first, second)]
    if told[0] != told[1]:
        raise EvaluationError(f"models must tell the same finding from normal. Received: {' and '.join(told)}")
    ours, theirs = _keyed(first), _keyed(second)
    both = ours.index.intersection(theirs.index).sort_values()
    return ours.loc[both].reset_index(drop=True), theirs.loc[both].reset_index(drop=True)


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> McNemar:
    """Test whether two models are right equally often on the same scans.

    Args:
        first_right: bool (n,), whether the first model decides each scan rightly.
        second_right: bool (n,), likewise for the second.

    References:
        McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
        Psychometrika 1947; here with the binomial distribution in place of its approximation.
    """
    only_first = int(np.count_nonzero(first_right & ~second_right))
    only_second = int(np.count_nonzero(second_right & ~first_right))
    decided = only_first + only_second
    p_value = float(binomtest(only_first, decided, 0.5).pvalue) if decided else 1.0
    return McNemar(only_first, only_second, p_value)


def _signed(difference: Estimate) -> str:
    interval = "no interval" if difference.low is None else f"{difference.low:+.3f} to {difference.high:+.3f}"
    return f"{difference.value:+.3f} ({interval})"


def _verdict(found: Difference | McNemar) -> str:
    return "significant" if found.is_real else "not significant"


def _differences(
    y: NDArray[np.bool_],
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    thresholds: tuple[float, float],
    patients: list[str],
    evaluation: config.Evaluation,
) -> dict[str, Difference]:
    bins = evaluation.calibration_bins
    first, second = (metrics.compute_metrics(y, p, at, bins) for p, at in zip(scores, thresholds, strict=True))

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        ours, theirs = (
            metrics.ranking_figures(y, p, bins, weights) | metrics.decision_figures(y, p, at, weights)
            for p, at in zip(scores, thresholds, strict=True)
        )
        return {name: theirs[name] - ours[name] for name in ALL}

    estimates = bootstrap(statistics, patients, evaluation.seed, evaluation.bootstrap_draws)
    return {
        name: Difference(first[name], second[name], estimate)
        for name in ALL
        if (estimate := estimates[name]) is not None
    }


def _split(first: pd.DataFrame, second: pd.DataFrame) -> str:
    splits = sorted({str(split) for table in (first, second) for split in table.get("split", ())})
    if len(splits) != 1:
        raise EvaluationError(f"models must be compared on scans of one split. Received: {splits}")
    return splits[0]


def _keyed(scores: pd.DataFrame) -> pd.DataFrame:
    missing = {"image_id", "sha256"} - set(scores.columns)
    if missing:
        raise EvaluationError(f"scores must have image_id and sha256. Missing: {sorted(missing)}")
    labels_and_scores(scores)
    ordered = scores.sort_values([*SCAN, "image_id"], ignore_index=True)
    copy = ordered.groupby(list(SCAN)).cumcount()
    return ordered.set_index(pd.MultiIndex.from_arrays([*(ordered[name].astype(str) for name in SCAN), copy]))
