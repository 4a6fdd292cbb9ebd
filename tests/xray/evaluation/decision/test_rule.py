"""How outputs are read: calibrated, decided or referred, and carried over to another share of sick scans."""

import numpy as np
import pandas as pd
import pytest

from xray import config
from xray.evaluation.decision.rule import DecisionRule, fit_decision_rule
from xray.labels import BINARY, LABELS
from xray.scheme_files import shipped_schemes

CAUSE = shipped_schemes()["cause"].classes


def two(p: list[float]) -> np.ndarray:
    """Class probabilities of the binary scheme."""
    return np.stack([np.array(p), 1 - np.array(p)], axis=1)


@pytest.fixture(scope="module")
def validation() -> tuple[np.ndarray, pd.DataFrame]:
    """Scores of 2,000 scans that are twice as sure as they may be: their logits were doubled."""
    generator = np.random.default_rng(0)
    logit = generator.normal(1.0, 2.0, 2000)
    positive = generator.random(2000) < 1 / (1 + np.exp(-logit))
    rows = pd.DataFrame(
        {"label": np.where(positive, "pneumonia", "normal"), "subtype": np.where(positive, "viral", "normal")}
    )
    return two((1 / (1 + np.exp(-2 * logit))).tolist()), rows


class TestRead:
    def test_outputs_read_as_they_are_keep_their_probability(self) -> None:
        found = DecisionRule.at(0.375).read(two([0.25, 0.375, 0.75]))
        assert found["p_pneumonia"].tolist() == found["p_pneumonia_raw"].tolist() == [0.25, 0.375, 0.75]
        assert found["likeliest_class"].tolist() == ["normal", "normal", "pneumonia"]
        assert found["decision"].tolist() == ["normal", "pneumonia", "pneumonia"]
        assert list(found.columns) == ["p_pneumonia", "p_pneumonia_raw", "likeliest_class", "decision"]

    def test_a_temperature_of_two_takes_the_square_root_of_the_odds(self) -> None:
        found = DecisionRule(0.5, 0.5, 0.5, temperature=2.0).read(two([0.9, 0.5]))
        np.testing.assert_allclose(found["p_pneumonia"], [3 / 4, 0.5])  # odds of 9 become 3
        np.testing.assert_allclose(found["p_pneumonia_raw"], [0.9, 0.5])

    def test_scores_within_the_band_are_referred(self) -> None:
        found = DecisionRule(0.5, 0.3, 0.8).read(two([0.25, 0.3, 0.5, 0.8]))
        assert found["decision"].tolist() == ["normal", "refer", "refer", "pneumonia"]

    def test_another_prevalence_multiplies_the_odds(self) -> None:
        reading = DecisionRule(0.5, 0.5, 0.5, prior=0.75, prevalence=0.5)
        found = reading.read(two([0.75, 0.5, 0.0, 1.0]))
        np.testing.assert_allclose(found["p_pneumonia"], [0.5, 0.25, 0.0, 1.0])  # odds by 1/3

    def test_of_several_classes_each_has_a_column_and_they_still_add_up(self) -> None:
        outputs = np.array([[0.5, 0.375, 0.125], [0.0, 0.25, 0.75]])
        found = DecisionRule(0.5, 0.5, 0.5, classes=CAUSE, prior=0.75, prevalence=0.5).read(outputs)
        np.testing.assert_allclose(found["p_pneumonia"], [0.25, 1.0])
        np.testing.assert_allclose(found[["p_normal", "p_bacterial", "p_viral"]].sum(axis=1), 1)
        np.testing.assert_allclose(found["p_bacterial"] / found["p_viral"], [3.0, 1 / 3])
        assert found["likeliest_class"].tolist() == ["normal", "viral"]

    def test_it_is_written_down_and_read_back(self) -> None:
        reading = DecisionRule(0.5, 0.3, 0.8, CAUSE, 1.5, 0.7, 0.1)
        assert DecisionRule.from_dict(reading.to_dict()) == reading


class TestFit:
    def test_it_finds_temperature_threshold_and_band_on_validation(
        self, validation: tuple[np.ndarray, pd.DataFrame]
    ) -> None:
        probabilities, rows = validation
        reading = fit_decision_rule(probabilities, rows, BINARY, config.Evaluation(most_error=0.1))
        assert reading.classes == LABELS
        assert reading.temperature == pytest.approx(2.0, rel=0.1)
        assert reading.low < reading.threshold < reading.high
        assert reading.prior == (rows["label"] == "pneumonia").mean()
        read = reading.read(probabilities)
        kept = read["decision"] != "refer"
        assert 0.09 < (read["decision"] != rows["label"])[kept].mean() <= 0.1

    def test_without_a_temperature_the_scores_stay(self, validation: tuple[np.ndarray, pd.DataFrame]) -> None:
        reading = fit_decision_rule(*validation, BINARY, config.Evaluation(temperature=False))
        assert reading.temperature == 1.0

    def test_a_stated_prevalence_changes_scores_and_no_decision(
        self, validation: tuple[np.ndarray, pd.DataFrame]
    ) -> None:
        probabilities, rows = validation
        settings = config.Evaluation(most_error=0.1)
        plain = fit_decision_rule(probabilities, rows, BINARY, settings)
        stated = fit_decision_rule(probabilities, rows, BINARY, settings.model_copy(update={"prevalence": 0.1}))
        before, after = plain.read(probabilities), stated.read(probabilities)
        assert (before["decision"] == after["decision"]).all()
        assert after["p_pneumonia"].mean() < before["p_pneumonia"].mean()

    def test_where_no_band_will_do_every_score_below_one_is_referred_and_a_line_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = pd.DataFrame({"label": ["normal", "pneumonia"] * 20, "subtype": ["normal", "viral"] * 20})
        reading = fit_decision_rule(two([0.5] * 40), rows, BINARY, config.Evaluation(most_error=0.01))
        assert set(reading.read(two([0.1, 0.9]))["decision"]) == {"refer"}
        assert "every score below 1 is referred" in caplog.text
