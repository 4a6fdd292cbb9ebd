"""A rule fitted on local scans: nothing leaks from a fit into its figures, and the threshold's interval covers."""

import re

import numpy as np
import pandas as pd
import pytest

from xray.config import Evaluation
from xray.errors import EvaluationError
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.decision.temperature_scaling import apply_temperature
from xray.external.labelled_set import SPLIT
from xray.external.recalibration import FOLDS, least_scans, raw_probabilities, recalibrate, threshold_interval

QUICK = Evaluation(bootstrap_draws=100, threshold="youden", most_error=0.05)
STORED = DecisionRule(threshold=0.9, low=0.9, high=0.9)
"""A threshold that was chosen elsewhere: here it misses nearly all."""


def answers(scans: int = 200, seed: int = 0, apart: float = 2.0, each: int = 2) -> pd.DataFrame:
    """A model's answers: scores whose log odds lie `apart`, each patient with several scans of one label."""
    draw = np.random.default_rng(seed)
    sick = (np.arange(scans) // each) % 2 == 0
    p = 1 / (1 + np.exp(-draw.normal(np.where(sick, apart / 2, -apart / 2), 1.0)))
    return pd.DataFrame(
        {
            "patient_id": (np.arange(scans) // each).astype(str),
            "label": np.where(sick, "pneumonia", "normal"),
            "subtype": np.where(sick, "pneumonia", "normal"),
            "split": SPLIT,
            "p_pneumonia": p,
            "p_pneumonia_raw": p,
            "decision": np.where(p >= STORED.threshold, "pneumonia", "normal"),
        }
    )


def test_a_threshold_from_elsewhere_is_mended_on_scans_that_no_fit_has_seen() -> None:
    found = recalibrate(answers(), STORED, QUICK)
    assert found.before_figures["sensitivity"].value < 0.3
    assert found.figures["sensitivity"].value > 0.75
    assert found.figures["specificity"].value > 0.75
    assert found.figures["auc"].value == pytest.approx(found.before_figures["auc"].value, abs=0.02)
    assert found.rule.threshold == found.threshold.value
    assert found.threshold.low is not None and found.threshold.high is not None
    assert found.threshold.low <= found.threshold.value <= found.threshold.high
    assert [row[0] for row in found.rows()][:3] == ["temperature", "threshold", "referred scores"]
    assert f"{found.flat()['recalibrated.sensitivity']}" == f"{found.figures['sensitivity'].value}"


def test_labels_that_are_shuffled_over_patients_give_chance() -> None:
    accuracies, aucs = [], []
    for seed in range(20):
        scores = answers(120, seed)
        patients = scores.drop_duplicates("patient_id")
        labels = np.random.default_rng(seed).permutation(patients["label"].to_numpy())
        drawn = scores["patient_id"].map(dict(zip(patients["patient_id"], labels, strict=True)))
        found = recalibrate(scores.assign(label=drawn, subtype=drawn), STORED, QUICK)
        accuracies.append(found.figures["accuracy"].value)
        aucs.append(found.figures["auc"].value)
    # A fit that saw the scans it is judged on would find a threshold that is better than chance on each of them.
    assert np.mean(accuracies) < 0.53
    assert abs(np.mean(aucs) - 0.5) < 0.05


def test_the_thresholds_interval_covers_the_best_threshold_of_all_scans() -> None:
    inside, lows = [], []
    for seed in range(25):
        scores = answers(300, seed, each=1)
        raw = raw_probabilities(scores, STORED)
        plain = QUICK.model_copy(update={"temperature": False})
        y = (scores["label"] == "pneumonia").to_numpy()
        low, high = threshold_interval(raw, y, scores["patient_id"], STORED, plain)
        assert low is not None and high is not None
        inside.append(low <= 0.5 <= high)  # the log odds of both labels lie as far from 0, and spread as far
        lows.append(low)
    assert np.mean(inside) >= 0.8
    assert len(set(lows)) > 1


def test_raw_probabilities_are_what_the_network_gave() -> None:
    draw = np.random.default_rng(3)
    raw = draw.dirichlet([1, 1, 1], 50)
    for prevalence in (None, 0.1):
        rule = DecisionRule(0.5, 0.5, 0.5, ("normal", "bacterial", "viral"), 1.7, 0.4, prevalence)
        np.testing.assert_allclose(raw_probabilities(rule.read(raw), rule), raw, atol=1e-9)
    two = DecisionRule(0.5, 0.5, 0.5, temperature=2.0, finding="tuberculosis", classes=("tuberculosis", "normal"))
    np.testing.assert_allclose(raw_probabilities(two.read(raw[:, :2] / raw[:, :2].sum(1, keepdims=True)), two)[:, 0],
                               raw[:, 0] / raw[:, :2].sum(1), atol=1e-12)  # fmt: skip


def test_the_temperature_makes_sure_scores_as_unsure_as_they_are() -> None:
    scores = answers(2000, each=1)
    sharp = apply_temperature(raw_probabilities(scores, STORED), 0.5)[:, 0]
    found = recalibrate(scores.assign(p_pneumonia=sharp, p_pneumonia_raw=sharp), STORED, QUICK)
    assert found.rule.temperature == pytest.approx(1.0, abs=0.15), "log odds 2 x are twice as far apart: they are 2 / 1"
    assert found.figures["calibration_error"].value < found.before_figures["calibration_error"].value


@pytest.mark.parametrize(("rule", "least"), [("youden", 20), ("sensitivity>=0.95", 25), ("specificity>=0.98", 63)])
def test_fewer_scans_than_a_rule_needs_are_refused_with_the_number_that_would_do(rule: str, least: int) -> None:
    evaluation = QUICK.model_copy(update={"threshold": rule})
    assert least_scans(evaluation) == least
    few = answers(2 * least - 4, each=1)
    with pytest.raises(EvaluationError, match=re.escape(f"at least {least} scans of each label")):
        recalibrate(few, STORED, evaluation)


def test_few_patients_of_many_scans_are_refused() -> None:
    with pytest.raises(EvaluationError, match=f"of {2 * FOLDS} patients. Received: 60 scans with the finding, of 6"):
        recalibrate(answers(120, each=10), STORED, QUICK)
