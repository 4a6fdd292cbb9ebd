"""The judgement of a split: every figure named, with its interval, at both thresholds."""

import math
import re

import pandas as pd
import pytest

from xray.config import Evaluation
from xray.errors import EvaluationError
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.split_metrics import COLUMNS, evaluate_split, labels_and_scores, with_finding

FEW = Evaluation(bootstrap_draws=200)
HEADLINE = ("auc", "average_precision", "brier", "calibration_error", "accuracy", "sensitivity", "specificity", "f1")


def test_every_headline_figure_has_a_value_inside_its_interval(scored: pd.DataFrame) -> None:
    flat = evaluate_split(scored, 0.6, FEW).flat()
    for name in (*HEADLINE, "sensitivity_bacterial", "sensitivity_viral", "sensitivity_at_half", "f1_at_half"):
        assert flat[f"test.{name}_low"] <= flat[f"test.{name}"] <= flat[f"test.{name}_high"]
    assert flat["test.threshold"] == 0.6
    assert (flat["test.scans"], flat["test.patients"]) == (60, 30)
    assert flat["test.prevalence"] == pytest.approx(2 / 3)


def test_the_point_estimates_are_those_of_figures(scored: pd.DataFrame) -> None:
    flat = evaluate_split(scored, 0.6, FEW).flat()
    y, p = labels_and_scores(scored)
    for threshold, suffix in ((0.6, ""), (0.5, "_at_half")):
        found = metrics.compute_metrics(y, p, threshold, FEW.calibration_bins)
        for name in ("accuracy", "sensitivity", "specificity", "f1", "tp", "fp", "tn", "fn"):
            assert flat[f"test.{name}{suffix}"] == pytest.approx(found[name])
    assert flat["test.auc"] == pytest.approx(found["auc"])


def test_a_cause_counts_all_its_subtypes(scored: pd.DataFrame) -> None:
    covid = scored[scored["subtype"] == "covid-19"]
    found = evaluate_split(scored, 0.6, FEW).chosen.by_cause["viral"]
    assert found is not None
    assert found.value == pytest.approx((covid["p_pneumonia"] >= 0.6).mean())


def test_a_cause_without_scans_is_absent_and_says_so(scored: pd.DataFrame) -> None:
    found = evaluate_split(scored[scored["subtype"] != "covid-19"], 0.6, FEW)
    assert found.chosen.by_cause["viral"] is None
    assert not [name for name in found.flat() if "viral" in name]
    assert ("sensitivity viral", "no scans", "no scans") in found.rows()


def test_numbers_are_finite_and_named_as_mlflow_allows(scored: pd.DataFrame) -> None:
    for name, number in evaluate_split(scored, 0.6, FEW).flat().items():
        assert math.isfinite(number)
        assert re.fullmatch(r"test\.[a-z0-9_]+", name)


def test_the_table_has_a_cell_for_each_column(scored: pd.DataFrame) -> None:
    rows = evaluate_split(scored, 0.6, FEW).rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert ("threshold", "0.600", "0.500") in rows


def test_the_split_names_the_numbers(scored: pd.DataFrame) -> None:
    found = evaluate_split(scored.assign(split="validation"), 0.6, FEW)
    assert "validation.auc" in found.flat()


def test_the_order_of_the_rows_does_not_matter(scored: pd.DataFrame) -> None:
    shuffled = scored.sample(frac=1, random_state=0)
    assert evaluate_split(shuffled, 0.6, FEW).flat() == pytest.approx(evaluate_split(scored, 0.6, FEW).flat())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "Pnemonia"}, "label must be among"),
        ({"label": "pneumonia"}, "both labels"),
        ({"subtype": "fungal"}, "subtype must be among"),
        ({"p_pneumonia": 1.2}, "within 0 to 1"),
        ({"p_pneumonia": None}, "Received: nan in row 0"),
        ({"p_pneumonia": "high"}, "Received: nan in row 0"),
        ({"patient_id": None}, "every scan must have a patient_id. Received: 60 without"),
        ({"split": ["train", "test"] * 30}, r"one split. Received: \['test', 'train'\]"),
    ],
)
def scored_that_cannot_be_judged_are_refused(scored: pd.DataFrame, changes: dict[str, object], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate_split(scored.assign(**changes), 0.6, FEW)


def test_a_missing_column_is_named(scored: pd.DataFrame) -> None:
    with pytest.raises(EvaluationError, match=r"Missing: \['patient_id'\]"):
        evaluate_split(scored.drop(columns="patient_id"), 0.6, FEW)


def test_every_label_but_normal_is_the_finding_and_subtypes_stay() -> None:
    labels = ["normal", "tuberculosis", "effusion"]
    rows = pd.DataFrame({"label": labels, "subtype": labels})
    found = with_finding(rows, "abnormal")
    assert found["label"].tolist() == ["normal", "abnormal", "abnormal"]
    assert found["subtype"].tolist() == rows["subtype"].tolist()


def test_a_pneumonia_of_ones_own_cause_counts_under_no_shipped_one() -> None:
    scores = pd.DataFrame(
        {
            "patient_id": [str(number) for number in range(8)],
            "label": ["normal"] * 4 + ["pneumonia"] * 4,
            "subtype": ["normal"] * 4 + ["fungal", "fungal", "viral", "viral"],
            "split": "test",
            "p_pneumonia": [0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9],
        }
    )
    found = evaluate_split(scores, 0.5, Evaluation(bootstrap_draws=100))
    assert found.chosen.by_cause["bacterial"] is None
    assert found.chosen.by_cause["viral"] is not None and found.chosen.by_cause["viral"].value == 1
