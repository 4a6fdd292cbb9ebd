"""The first screen's words: the promise beside what TEST shows, and the weak points."""

from typing import Any

import pytest

from xray import config
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.reporting.at_a_glance import answers, headlines, points

TEST = {
    "pneumonia": {"pneumonia": 30, "normal": 4, "refer": 16},
    "normal": {"pneumonia": 8, "normal": 2, "refer": 20},
}
METRICS = {
    "test.patients": 61.0, "test.prevalence": 0.625,
    "test.ppv": 0.789, "test.ppv_low": 0.7, "test.ppv_high": 0.9,
    "test.error_decided": 0.273, "test.error_decided_low": 0.17, "test.error_decided_high": 0.39,
    "test.sensitivity": 0.9, "test.sensitivity_low": 0.8, "test.sensitivity_high": 0.96,
    "test.specificity": 0.6, "test.specificity_low": 0.4, "test.specificity_high": 0.8,
    "test.calibration_error": 0.112, "test.calibration_error_low": 0.07, "test.calibration_error_high": 0.15,
    "test.auc": 0.9,
}  # fmt: skip
ELSEWHERE = {"test.ppv_where_0.1": 0.31, "test.ppv_where_0.1_low": 0.2, "test.ppv_where_0.1_high": 0.5}
LOOKED = "These TEST scans have been looked at 3 times."


@pytest.fixture
def report() -> dict[str, Any]:
    held = {label: {"pneumonia": 49, "normal": 49, "refer": 0} for label in TEST}
    reading = DecisionRule(0.5, 0.4, 0.6).to_dict()
    return {
        "metrics": METRICS,
        "reading": reading,
        "outcomes": {"test": TEST, "validation": held},
        "elsewhere": ELSEWHERE,
    }


def test_referred_scans_are_neither_right_nor_wrong(report: dict[str, Any]) -> None:
    assert answers(report) == (
        "Of 80 TEST scans, which were not used for training, 32 are right and 12 wrong; 36 are referred to a person."
    )


def test_a_figure_says_its_interval_in_the_same_unit_and_what_it_is_a_share_of(report: dict[str, Any]) -> None:
    cards = {card.name: card for card in headlines(report)}
    assert (cards["Wrong"].value, cards["Wrong"].interval) == ("27.3%", "17.0 to 39.0%")
    assert (cards["AUC"].value, cards["AUC"].interval) == ("0.900", "no interval")
    assert cards["PPV"].meaning == "of the 38 scans called pneumonia are pneumonia"
    assert "NPV" not in cards, "where nothing is called normal there is none"


def test_what_speaks_against_the_model_stands_there_and_the_broken_promise_first(report: dict[str, Any]) -> None:
    weak = {"Weakest slice": "41.0% of the 17 normal scans of dark are called normal"}
    evaluation = config.Evaluation(threshold="sensitivity>=0.85", most_error=0.02)
    found = points(report, weak, evaluation, LOOKED)
    assert [point.topic for point in found] == [
        "Target missed", "Normal scans", "Weakest slice", "If pneumonia is rarer",
        "Scores", "Few scans", "Repeated test-set evaluation", "Target",
    ]  # fmt: skip
    said = {point.topic: point.words for point in found}
    assert "at most 2.0%" in said["Target missed"] and "27.3% (17.0 to 39.0%): missed" in said["Target missed"]
    assert said["Normal scans"] == (
        "8 of 30 are called pneumonia and 20 are referred; if every scan were decided, 40.0% (20.0 to 60.0%) would be "
        "called pneumonia."
    )
    assert said["If pneumonia is rarer"] == (
        "62.5% of TEST is pneumonia. At a prevalence of 10% the PPV would be 31.0% (20.0 to 50.0%), not 78.9%."
    )
    assert "11.2 (7.0 to 15.0) percentage points" in said["Scores"]
    assert said["Few scans"].startswith("TEST has 50 pneumonia and 30 normal scans of 61 patients.")
    assert "sensitivity ±8.0 points and specificity ±20.0 points" in said["Few scans"]
    assert said["Repeated test-set evaluation"] == LOOKED
    assert [point.weak for point in found] == [True] * 7 + [False]
