"""What a model is worth in use: calibrated, carried to another prevalence, with its doubtful scans referred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.evaluation import metrics
from xray.evaluation.intervals import Estimate, bootstrap, flat_estimates
from xray.evaluation.prevalence import correct, estimate
from xray.evaluation.reading import Reading
from xray.evaluation.referral import band_figures
from xray.evaluation.report import HALF, labels_and_scores, split_of

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Columns and rows, in words."""

CALIBRATION = ("brier", "calibration_error")
REFERRAL = ("referred", "error_decided", "sensitivity_decided", "specificity_decided")


@dataclass(frozen=True)
class InUse:
    """Figures of one split that depend on how the outputs are read.

    Attributes:
        split: The split they are of.
        figures: By name, each with its interval.
        estimated: Share of pneumonia that the scores alone suggest, 0 to 1.
        tables: By title, in words.
    """

    split: str
    figures: dict[str, Estimate]
    estimated: float
    tables: dict[str, Table]

    def flat(self) -> dict[str, float]:
        """Give every number as MLflow names it: `test.referred`, `test.brier_raw`, `test.prevalence_estimated`."""
        estimated = {f"{self.split}.prevalence_estimated": self.estimated}
        return estimated | flat_estimates(self.split, self.figures)


def in_use(scores: pd.DataFrame, reading: Reading, evaluation: config.Evaluation) -> InUse:
    """Judge calibration before and after, a corrected prevalence, and referral.

    The correction by the split's own share of pneumonia needs its labels, so it shows what the best guess would bring;
    the one by the estimated share needs none.

    Args:
        scores: A row a scan of one split: patient_id, label, subtype, split, p_pneumonia and p_pneumonia_raw.
        reading: How the scores came about.
        evaluation: Seed, draws and bins.

    Raises:
        EvaluationError: The scores cannot be judged.
    """
    y, p = labels_and_scores(scores)
    raw = scores["p_pneumonia_raw"].to_numpy(dtype=np.float64)
    base = reading.prior if reading.prevalence is None else reading.prevalence
    estimated, own = estimate(p, base), float(y.mean())
    readings = {
        "raw": raw,
        "calibrated": p,
        "at_estimated_prevalence": correct(p, base, estimated),
        "at_own_prevalence": correct(p, base, own),
    }

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = band_figures(y, p, reading.band, reading.threshold, weights)
        for name, read in readings.items():
            ranked = metrics.ranking_figures(y, read, evaluation.calibration_bins, weights)
            half = metrics.decision_figures(y, read, HALF, weights)
            found |= {f"{figure}_{name}": ranked[figure] for figure in CALIBRATION}
            found |= {f"accuracy_at_half_{name}": half["accuracy"]}
        return found

    drawn = bootstrap(statistics, scores["patient_id"].tolist(), evaluation.seed, evaluation.bootstrap_draws)
    figures = {name: found for name, found in drawn.items() if found is not None}
    return InUse(
        split=split_of(scores),
        # the calibrated figures stand among the split's own
        figures={name: found for name, found in figures.items() if not name.endswith("_calibrated")},
        estimated=estimated,
        tables=_tables(drawn, reading, estimated, own),
    )


def _tables(drawn: Mapping[str, Estimate | None], reading: Reading, estimated: float, own: float) -> dict[str, Table]:
    words = {
        "raw": "as the network gave it",
        "calibrated": f"at temperature {reading.temperature:.3f}",
        "at_estimated_prevalence": f"and corrected to {estimated:.1%} pneumonia, estimated without labels",
        "at_own_prevalence": f"and corrected to {own:.1%} pneumonia, which its labels say",
    }
    columns = ("score", *(name.replace("_", " ") for name in CALIBRATION), "accuracy at 0.5")
    rows = [(said, *(str(drawn[key]) for key in _keys(name))) for name, said in words.items()]
    referral = [(name.replace("_", " "), str(drawn[name] or "no scans")) for name in REFERRAL]
    band = f"referred from {reading.low:.3f} to {reading.high:.3f}"
    return {"Calibration": (columns, rows), "Referral": (("figure", band), referral)}


def _keys(name: str) -> list[str]:
    return [*(f"{figure}_{name}" for figure in CALIBRATION), f"accuracy_at_half_{name}"]
