"""Metrics of the decision rule: calibration, adjusted prevalence, referral and predictive values."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.evaluation.decision.predictive_values import PREVALENCES, VALUES, predictive_values
from xray.evaluation.decision.prior_shift import adjust_prior, estimate
from xray.evaluation.decision.referral import band_figures
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.evaluation.metrics.split_metrics import HALF, labels_and_scores, split_of
from xray.labels import raw_column
from xray.table import Table

CALIBRATION = ("brier", "calibration_error")
REFERRAL = {
    "referred": "referred, of all scans",
    "error_decided": "wrong, of the decided scans",
    "sensitivity_decided": "called {finding}, of the decided {finding} scans",
    "specificity_decided": "called normal, of the decided normal scans",
}
WORTH = "Predictive values: share of correct answers among scans called {finding} (PPV) and called normal (NPV)"
_ELSEWHERE = "_where_"
"""Stands before a share of the finding that is not the split's own."""


@dataclass(frozen=True)
class DeploymentMetrics:
    """Figures of one split that depend on how the outputs are read.

    Attributes:
        split: The split they are of.
        figures: By name, each with its interval.
        elsewhere: `ppv_where_0.1` and the like: what an answer is worth where another share of scans has the finding.
        estimated: Share of the finding that the scores alone suggest, 0 to 1.
        tables: By title, in words.
    """

    split: str
    figures: dict[str, Estimate]
    elsewhere: dict[str, Estimate]
    estimated: float
    tables: dict[str, Table]

    def flat(self) -> dict[str, float]:
        """Give every number as MLflow names it: `test.referred`, `test.brier_raw`, `test.prevalence_estimated`.

        What holds elsewhere has no entry.
        """
        estimated = {f"{self.split}.prevalence_estimated": self.estimated}
        return estimated | flat_estimates(self.split, self.figures)


def deployment_metrics(scores: pd.DataFrame, reading: DecisionRule, evaluation: config.Evaluation) -> DeploymentMetrics:
    """Evaluate calibration before and after, an adjusted prevalence, and referral.

    The correction by the split's own share of findings needs its labels, so it shows what the best guess would bring;
    the one by the estimated share needs none.

    Args:
        scores: A row a scan of one split: patient_id, label, subtype, split, p_FINDING and p_FINDING_raw.
        reading: How the scores came about.
        evaluation: Seed, draws and bins.

    Raises:
        EvaluationError: The scores cannot be judged.
    """
    y, p = labels_and_scores(scores)
    raw = scores[raw_column(reading.finding)].to_numpy(dtype=np.float64)
    base = reading.prior if reading.prevalence is None else reading.prevalence
    estimated, own = estimate(p, base), float(y.mean())
    readings = {
        "raw": raw,
        "calibrated": p,
        "at_estimated_prevalence": adjust_prior(p, base, estimated),
        "at_own_prevalence": adjust_prior(p, base, own),
    }

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {**band_figures(y, p, reading.band, reading.threshold, weights)}
        found |= predictive_values(y, p, reading.band, reading.threshold, weights)
        for share in PREVALENCES:
            there = predictive_values(y, p, reading.band, reading.threshold, weights, share)
            found |= {f"{name}{_ELSEWHERE}{share}": values for name, values in there.items()}
        for name, read in readings.items():
            ranked = metrics.ranking_figures(y, read, evaluation.calibration_bins, weights)
            half = metrics.decision_figures(y, read, HALF, weights)
            found |= {f"{figure}_{name}": ranked[figure] for figure in CALIBRATION}
            found |= {f"accuracy_at_half_{name}": half["accuracy"]}
        return found

    drawn = bootstrap(statistics, scores["patient_id"].tolist(), evaluation.seed, evaluation.bootstrap_draws)
    figures = {name: found for name, found in drawn.items() if found is not None}
    return DeploymentMetrics(
        split=split_of(scores),
        # the calibrated figures stand among the split's own, and what holds elsewhere in a table
        figures={
            name: found
            for name, found in figures.items()
            if not name.endswith("_calibrated") and _ELSEWHERE not in name
        },
        elsewhere={name: found for name, found in figures.items() if _ELSEWHERE in name},
        estimated=estimated,
        tables=_tables(drawn, reading, estimated, own),
    )


def _tables(
    drawn: Mapping[str, Estimate | None], reading: DecisionRule, estimated: float, own: float
) -> dict[str, Table]:
    finding = reading.finding
    words = {
        "raw": "uncalibrated",
        "calibrated": f"at temperature {reading.temperature:.3f}",
        "at_estimated_prevalence": f"and adjusted to {estimated:.1%} {finding}, estimated without labels",
        "at_own_prevalence": f"and adjusted to {own:.1%} {finding}, the share in its labels",
    }
    columns = ("score", *(name.replace("_", " ") for name in CALIBRATION), "accuracy at 0.5")
    rows = [(said, *(str(drawn[key]) for key in _keys(name))) for name, said in words.items()]
    referral = [(said.format(finding=finding), str(drawn[name] or "no scans")) for name, said in REFERRAL.items()]
    referral.insert(0, ("referred scores", f"{reading.low:.3f} to {reading.high:.3f}"))
    return {
        "Calibration": Table(columns, rows),
        "Referral": Table(("share", "of the scans"), referral),
        WORTH.format(finding=finding): Table((f"at this share of {finding}", "PPV", "NPV"), _worth(drawn, own)),
    }


def _worth(drawn: Mapping[str, Estimate | None], own: float) -> list[tuple[str, str, str]]:
    shares = {f"{own:.1%}, as here": ""} | {f"{share:.0%}": f"{_ELSEWHERE}{share}" for share in PREVALENCES}
    rows = []
    for words, place in shares.items():
        ppv, npv = (str(drawn[f"{name}{place}"] or "no scan is called so") for name in VALUES)
        rows.append((words, ppv, npv))
    return rows


def _keys(name: str) -> list[str]:
    return [*(f"{figure}_{name}" for figure in CALIBRATION), f"accuracy_at_half_{name}"]
