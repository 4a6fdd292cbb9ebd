"""What a model is worth in use: calibration before and after, another prevalence, referral."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

from xray import config
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.decision.rule_metrics import WORTH, DeploymentMetrics, deployment_metrics

EVALUATION = config.Evaluation(bootstrap_draws=100)


def read(p: np.ndarray, reading: DecisionRule, positive: np.ndarray) -> pd.DataFrame:
    found = reading.read(np.stack([p, 1 - p], axis=1))
    return found.assign(
        patient_id=[f"p{number}" for number in range(len(p))],
        label=np.where(positive, "pneumonia", "normal"),
        subtype=np.where(positive, "viral", "normal"),
        split="test",
    )


@pytest.fixture(scope="module")
def scores() -> tuple[pd.DataFrame, DecisionRule]:
    """A model that is calibrated at 80 % pneumonia, used where 30 % of 4,000 scans are."""
    generator = np.random.default_rng(0)
    positive = generator.random(4000) < 0.3
    # two normal distributions one apart: the log likelihood ratio is linear in the value
    value = generator.normal(np.where(positive, 0.5, -0.5) * 2, 1.0)
    p = 1 / (1 + np.exp(-(2 * value + np.log(0.8 / 0.2))))
    reading = DecisionRule(threshold=0.5, low=0.25, high=0.75, prior=0.8)
    return read(p, reading, positive), reading


@pytest.fixture(scope="module")
def found(scores: tuple[pd.DataFrame, DecisionRule]) -> DeploymentMetrics:
    return deployment_metrics(*scores, EVALUATION)


def test_the_share_of_pneumonia_is_found_without_labels(found: DeploymentMetrics) -> None:
    assert found.estimated == pytest.approx(0.3, abs=0.03)
    assert found.flat()["test.prevalence_estimated"] == found.estimated


def test_a_corrected_prevalence_makes_scores_mean_what_they_say(found: DeploymentMetrics) -> None:
    plain = found.figures["calibration_error_raw"]
    for name in ("at_estimated_prevalence", "at_own_prevalence"):
        corrected = found.figures[f"calibration_error_{name}"]
        assert corrected.high is not None and plain.low is not None
        assert corrected.high < plain.low
        assert found.figures[f"accuracy_at_half_{name}"].value > found.figures["accuracy_at_half_raw"].value


def test_the_brier_score_is_scikit_learns(scores: tuple[pd.DataFrame, DecisionRule], found: DeploymentMetrics) -> None:
    table, _ = scores
    expected = brier_score_loss(table["label"] == "pneumonia", table["p_pneumonia_raw"])
    assert found.figures["brier_raw"].value == pytest.approx(expected)


def test_referral_is_counted_by_hand() -> None:
    reading = DecisionRule(threshold=0.5, low=0.25, high=0.75)
    p = np.array([0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 0.125, 1.0])
    positive = np.array([False, False, True, True, True, False, True, True])
    figures = deployment_metrics(read(p, reading, positive), reading, EVALUATION).figures
    assert figures["referred"].value == 3 / 8  # 0.25, 0.5 and 0.625
    assert figures["error_decided"].value == 2 / 5  # 0.875 is normal, the second 0.125 is not
    assert figures["sensitivity_decided"].value == 2 / 3
    assert figures["specificity_decided"].value == 1 / 2
    assert figures["ppv"].value == 2 / 3  # 0.75, 0.875 and 1.0 are called pneumonia
    assert figures["npv"].value == 1 / 2  # the two 0.125 are called normal


def test_its_tables_say_all_that_in_words(found: DeploymentMetrics) -> None:
    columns, rows = found.tables["Calibration"]
    assert columns == ("score", "brier", "calibration error", "accuracy at 0.5")
    assert [row[0] for row in rows][:2] == ["uncalibrated", "at temperature 1.000"]
    assert "estimated without labels" in rows[2][0]
    assert found.tables["Referral"][1][0] == ("referred scores", "0.250 to 0.750")


def test_what_an_answer_is_worth_stands_there_for_several_shares_and_in_no_metric(found: DeploymentMetrics) -> None:
    _, rows = found.tables[WORTH.format(finding="pneumonia")]
    assert [row[0] for row in rows][1:] == ["5%", "10%", "20%", "50%"]
    assert rows[0][0].endswith("%, as here")
    assert rows[0][1:] == (str(found.figures["ppv"]), str(found.figures["npv"]))
    worth = [[float(cell.partition(" ")[0]) for cell in row[1:]] for row in rows[1:]]
    ppvs = [ppv for ppv, _ in worth]
    assert ppvs == sorted(ppvs), "the more pneumonia there is, the more a call of pneumonia is worth"
    assert [npv for _, npv in worth] == sorted((npv for _, npv in worth), reverse=True)
    assert found.elsewhere["ppv_where_0.05"].value == pytest.approx(worth[0][0], abs=0.0005)
    assert not any("where" in name for name in found.flat())


def test_the_calibrated_figures_do_not_stand_there_twice(found: DeploymentMetrics) -> None:
    assert not any(name.endswith("_calibrated") for name in found.figures)
