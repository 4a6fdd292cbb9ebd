"""A decision rule fitted on local scans: temperature, threshold and referral band, cross-fitted over patients.

What is reported is from scans that a fit has not seen: the scans are cut into folds by patient, the rule is fitted on
all folds but one and decides the one, in turn. The rule that is kept is then fitted on all scans.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.model_selection import StratifiedGroupKFold

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.decision.prior_shift import adjust_prior
from xray.evaluation.decision.rule import DecisionRule, rule_at
from xray.evaluation.decision.temperature_scaling import BOUNDS, apply_temperature
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.evaluation.metrics.multiclass import LEAST_SCANS
from xray.evaluation.metrics.split_metrics import labels_and_scores
from xray.labels import NORMAL, REFER, Scheme, class_columns, p_column, p_finding, raw_column

FOLDS = 5
DRAWS = 200
"""Draws of patients behind the threshold's interval: each fits a threshold anew."""

PREFIX = "recalibrated"
_FLOOR = 1e-7


@dataclass(frozen=True)
class Recalibration:
    """A rule for local scans, and what it is worth on scans that it was not fitted on.

    Attributes:
        rule: Fitted on all scans.
        before: The rule that it replaces.
        threshold: The kept threshold with its 95 % interval over patients.
        figures: Cross-fitted, by name: auc, sensitivity, specificity, accuracy, brier, calibration_error, referred,
            error_decided.
        before_figures: Of the rule that it replaces, on the same scans.
    """

    rule: DecisionRule
    before: DecisionRule
    threshold: Estimate
    figures: dict[str, Estimate]
    before_figures: dict[str, Estimate]

    def flat(self) -> dict[str, float]:
        """Give every number as MLflow names it: `recalibrated.sensitivity`, `recalibrated.before_sensitivity`."""
        before = {f"before_{name}": each for name, each in self.before_figures.items()}
        return flat_estimates(PREFIX, {"threshold": self.threshold, **self.figures, **before})

    def rows(self) -> list[tuple[str, str, str]]:
        """Write the table in words: a row a figure, before and after."""
        rules = [("temperature", *(f"{each.temperature:.3f}" for each in (self.before, self.rule)))]
        rules += [("threshold", f"{self.before.threshold:.3f}", str(self.threshold))]
        rules += [("referred scores", *(f"{each.low:.3f} to {each.high:.3f}" for each in (self.before, self.rule)))]
        return [
            *((name, before, after) for name, before, after in rules),
            *(
                (name.replace("_", " "), str(self.before_figures[name]), str(each))
                for name, each in self.figures.items()
            ),
        ]


def raw_probabilities(scores: pd.DataFrame, reading: DecisionRule) -> NDArray[np.float64]:
    """Give the network's own class probabilities, float64 (n, k), from a model's answers.

    Args:
        scores: A row a scan: p_FINDING, p_FINDING_raw and, with more classes than two, p_CLASS for each.
        reading: The rule that the answers came by; its temperature and prevalence are undone.
    """
    names = class_columns(reading.classes)
    raw = scores[raw_column(reading.finding)].to_numpy(dtype=np.float64)
    if not names:
        return np.stack([raw, 1 - raw], axis=1)
    tempered = scores[names].to_numpy(dtype=np.float64).copy()
    if reading.prevalence is not None:
        after = scores[p_column(reading.finding)].to_numpy(dtype=np.float64)
        before = adjust_prior(after, reading.prevalence, reading.prior)
        share = np.divide(before, after, out=np.ones_like(after), where=after > 0)
        normal = names.index(p_column(NORMAL))
        tempered = tempered * share[:, np.newaxis]
        tempered[:, normal] = 1 - before
    return apply_temperature(tempered / tempered.sum(axis=1, keepdims=True), 1 / reading.temperature)


def fit_rule(
    raw: NDArray[np.float64], y: NDArray[np.bool_], reading: DecisionRule, evaluation: config.Evaluation
) -> DecisionRule:
    """Fit a rule: the temperature by the likelihood of finding and normal, the rest by the evaluation's rules.

    Args:
        raw: float64 (n, k), the network's class probabilities.
        y: bool (n,), True has the finding. Both must be there.
        reading: The model's present rule, for its classes.
        evaluation: Names the rules, and the prevalence of use.

    Raises:
        EvaluationError: A label is missing, or the threshold's rule is out of reach.
    """
    temperature = _temperature(raw, y, reading) if evaluation.temperature else 1.0
    return rule_at(temperature, raw, y, Scheme("", reading.classes, reading.finding), evaluation)


def recalibrate(scores: pd.DataFrame, reading: DecisionRule, evaluation: config.Evaluation) -> Recalibration:
    """Fit a rule on labelled scans, and judge it on scans that no fit has seen.

    Args:
        scores: A row a scan: patient_id, label, subtype, split (one and the same), decision, and the model's answer.
        reading: The rule that the answers came by.
        evaluation: Names the rules; seed, draws and bins.

    Raises:
        EvaluationError: There are too few scans or patients for the rule, or a label is missing.
    """
    y, _ = labels_and_scores(scores)
    metrics.check(y, np.full(len(y), 0.5))
    require_enough(y, scores["patient_id"], evaluation)
    raw = raw_probabilities(scores, reading)
    rule = fit_rule(raw, y, reading, evaluation)
    p, threshold, referred = np.empty(len(y)), np.empty(len(y)), np.zeros(len(y), dtype=bool)
    for held in _folds(y, scores["patient_id"], evaluation.seed):
        fitted = fit_rule(raw[~held], y[~held], reading, evaluation)
        p[held] = fitted.read(raw[held])[p_column(reading.finding)]
        threshold[held] = fitted.threshold
        referred[held] = fitted.band.referred(p[held])
    patients = scores["patient_id"].tolist()
    old = scores[p_column(reading.finding)].to_numpy(dtype=np.float64)
    old_referred = (scores["decision"] == REFER).to_numpy(dtype=bool)
    before = _figures(y, old, np.full(len(y), reading.threshold), old_referred, patients, evaluation)
    after = _figures(y, p, threshold, referred, patients, evaluation)
    interval = threshold_interval(raw, y, scores["patient_id"], reading, evaluation)
    kept = Estimate(rule.threshold, *interval)
    names = [name for name in after if name in before]
    return Recalibration(
        rule, reading, kept, {name: after[name] for name in names}, {name: before[name] for name in names}
    )


def least_scans(evaluation: config.Evaluation) -> int:
    """Give how many scans of each label a rule needs: in each fit, one that is missed must not break it.

    Args:
        evaluation: Names the rule.
    """
    _, _, bound = evaluation.threshold.partition(">=")
    missed = 1 - float(bound) if bound else 1.0
    inside = math.ceil(round(1 / missed, 6)) if 0 < missed < 1 else LEAST_SCANS
    return max(2 * LEAST_SCANS, math.ceil(inside * FOLDS / (FOLDS - 1)))


def require_enough(y: NDArray[np.bool_], patients: pd.Series, evaluation: config.Evaluation) -> None:
    """Refuse fewer scans, or patients, than a rule can be fitted and judged on.

    Raises:
        EvaluationError: There are fewer; the number that would do is named.
    """
    needed = least_scans(evaluation)
    for what, mask in (("with the finding", y), ("normal", ~y)):
        scans, owners = int(mask.sum()), patients[mask].nunique()
        if scans < needed or owners < 2 * FOLDS:
            raise EvaluationError(
                f"a rule {evaluation.threshold} is fitted on at least {needed} scans of each label, of {2 * FOLDS} "
                f"patients. Received: {scans} scans {what}, of {owners} patients"
            )


def threshold_interval(
    raw: NDArray[np.float64],
    y: NDArray[np.bool_],
    patients: pd.Series,
    reading: DecisionRule,
    evaluation: config.Evaluation,
) -> tuple[float | None, float | None]:
    """Give the 95 % interval of a fitted threshold: patients are drawn with replacement, and each draw is fitted anew.

    Args:
        raw: float64 (n, k), the network's class probabilities.
        y: bool (n,), True has the finding.
        patients: Of each scan.
        reading: The model's present rule, for its classes.
        evaluation: Names the rule, and the seed.
    """
    numbers, owners = pd.factorize(patients)
    rows_of = [np.flatnonzero(numbers == number) for number in range(len(owners))]
    draw, found = np.random.default_rng(evaluation.seed), []
    for _ in range(DRAWS):
        rows = np.concatenate([rows_of[number] for number in draw.integers(len(owners), size=len(owners))])
        try:
            found.append(fit_rule(raw[rows], y[rows], reading, _without_band(evaluation)).threshold)
        except EvaluationError:  # a draw without one of the labels, or without a threshold that does it
            continue
    if len(found) < 0.8 * DRAWS:
        return None, None
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def _without_band(evaluation: config.Evaluation) -> config.Evaluation:
    """Ask for no band: it takes most of a fit's time, and moves no threshold."""
    return evaluation.model_copy(update={"most_error": 1.0})


def _temperature(raw: NDArray[np.float64], y: NDArray[np.bool_], reading: DecisionRule) -> float:
    def loss(log_temperature: float) -> float:
        p = p_finding(apply_temperature(raw, float(np.exp(log_temperature))), reading.classes)
        p = np.clip(p, _FLOOR, 1 - _FLOOR)
        return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))

    ends = np.log(BOUNDS)
    found = minimize_scalar(loss, bounds=tuple(ends), method="bounded")
    best = min((0.0, *ends, found.x), key=loss)
    return float(np.clip(np.exp(best), *BOUNDS))


def _folds(y: NDArray[np.bool_], patients: pd.Series, seed: int) -> list[NDArray[np.bool_]]:
    """Cut the scans by patient: bool (n,), which each fold holds."""
    cut = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(y, y, pd.factorize(patients)[0])
    folds = []
    for _, held in cut:
        mask = np.zeros(len(y), dtype=bool)
        mask[held] = True
        folds.append(mask)
    return folds


def _figures(
    y: NDArray[np.bool_],
    p: NDArray[np.float64],
    threshold: NDArray[np.float64],
    referred: NDArray[np.bool_],
    patients: list[str],
    evaluation: config.Evaluation,
) -> dict[str, Estimate]:
    right = (p >= threshold) == y

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        ranked = metrics.ranking_figures(y, p, evaluation.calibration_bins, weights)
        decided = metrics.decision_figures(y, p, threshold, weights)
        found = {name: ranked[name] for name in ("auc", "brier", "calibration_error")}
        found |= {name: decided[name] for name in ("accuracy", "sensitivity", "specificity")}
        found["referred"] = metrics.ratio(weights @ referred, weights.sum(axis=1))
        found["error_decided"] = metrics.ratio(weights @ (~referred & ~right), weights @ ~referred)
        return found

    drawn = bootstrap(statistics, patients, evaluation.seed, evaluation.bootstrap_draws)
    return {name: each for name, each in drawn.items() if each is not None}
