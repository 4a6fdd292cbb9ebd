"""A model on scans of somewhere else: its figures there, and whether they differ from its own TEST beyond chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xray.config import Evaluation
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.metrics.bootstrap import Estimate
from xray.external.labelled_set import SPLIT
from xray.external.measure import COLUMNS, beside_home, differs, found_measured, wanted, write_measured

EVALUATION = Evaluation(bootstrap_draws=200)
RULE = DecisionRule(threshold=0.5, low=0.4, high=0.6)


def scored(scans: int = 80) -> pd.DataFrame:
    """Scores of half normal scans and half pneumonia, of men and women of all ages."""
    draw = np.random.default_rng(0)
    sick = np.arange(scans) % 2 == 0
    p = np.clip(draw.normal(np.where(sick, 0.7, 0.3), 0.2), 0.01, 0.99)
    decision = np.where(
        (p >= RULE.low) & (p < RULE.high), "refer", np.where(p >= RULE.threshold, "pneumonia", "normal")
    )
    return pd.DataFrame(
        {
            "image_id": [f"{number}.png" for number in range(scans)],
            "sha256": [f"{number:064x}" for number in range(scans)],
            "patient_id": [str(number // 2) for number in range(scans)],
            "label": np.where(sick, "pneumonia", "normal"),
            "subtype": np.where(sick, "viral", "normal"),
            "source": "ours",
            "sex": np.where(np.arange(scans) % 3 == 0, "F", "M"),
            "age": [str(10 + number) if number % 7 else "" for number in range(scans)],
            "split": SPLIT,
            "p_pneumonia": p,
            "p_pneumonia_raw": p,
            "decision": decision,
        }
    )


def test_its_figures_stand_beside_those_of_its_own_test(tmp_path: Path) -> None:
    home = {"test.scans": 100.0, "test.patients": 90.0, "test.prevalence": 0.5, "test.auc": 0.5, "test.auc_low": 0.45}
    home |= {"test.auc_high": 0.55}
    measured = write_measured(tmp_path, "digest", scored(), RULE, home, ["a note"], EVALUATION)
    report = measured.report()
    rows = {row[0]: row[1:] for row in report["rows"]}
    assert rows["scans (patients)"][:2] == ["80 (40)", "100 (90)"]
    assert rows["auc"][1] == "0.500 (0.450 to 0.550)"
    assert rows["auc"][2].endswith("beyond chance")
    assert rows["sensitivity"][1:3] == ["not known", ""]
    assert report["notes"] == ["a note"]
    assert {path.stem for path in measured.plots()} == {
        "calibration", "confusion_matrix", "roc_curve", "score_distribution",
    }  # fmt: skip
    found = found_measured(tmp_path, "digest")
    assert found is not None
    assert found.report() == report
    assert found_measured(tmp_path, "another") is None


def test_the_slices_are_what_the_source_says_of_its_scans(tmp_path: Path) -> None:
    report = write_measured(tmp_path, "digest", scored(), RULE, {}, [], EVALUATION).report()
    names = [row[0] for row in report["tables"]["Slices of the scans"][1]]
    assert {"sex F", "sex M", "age 0 to 18", "age 18 to 40", "age 65 and older", "age unknown", "source ours"} <= set(
        names
    )
    assert f"{SPLIT}.slices.sex.F.sensitivity" in report["metrics"]


def test_predictive_values_are_those_of_the_decided_scans(tmp_path: Path) -> None:
    scores = scored()
    metrics = write_measured(tmp_path, "digest", scores, RULE, {}, [], EVALUATION).report()["metrics"]
    called = scores[scores["decision"] == "pneumonia"]
    cleared = scores[scores["decision"] == "normal"]
    assert metrics["external.ppv"] == pytest.approx((called["label"] == "pneumonia").mean())
    assert metrics["external.npv"] == pytest.approx((cleared["label"] == "normal").mean())
    found, alarms = (called["label"] == "pneumonia").sum() / 40, (called["label"] == "normal").sum() / 40
    assert metrics["external.ppv_where_0.1"] == pytest.approx(0.1 * found / (0.1 * found + 0.9 * alarms))


def test_too_few_scans_of_a_label_have_no_figure(tmp_path: Path) -> None:
    scores = scored()
    few = pd.concat([scores[scores["label"] == "normal"], scores[scores["label"] == "pneumonia"].head(4)])
    rows = {row[0]: row[1:] for row in write_measured(tmp_path, "d", few, RULE, {}, [], EVALUATION).report()["rows"]}
    assert rows["sensitivity"][0] == "too few: 4 scans of a label"
    assert rows["sensitivity"][3] == "at least 10"


@pytest.mark.parametrize(
    ("here", "home", "said"),
    [
        (Estimate(0.9, 0.85, 0.95), Estimate(0.8, 0.75, 0.85), "+0.100, beyond chance"),
        (Estimate(0.85, 0.8, 0.9), Estimate(0.8, 0.75, 0.85), "+0.050, within chance"),
        (Estimate(0.9, None, None), Estimate(0.8, 0.75, 0.85), ""),
        (Estimate(0.9, 0.85, 0.95), None, ""),
        (Estimate(1.0, 1.0, 1.0), Estimate(0.9, 0.9, 0.9), "+0.100"),
    ],
)
def test_a_difference_is_beyond_chance_where_both_errors_together_are_too_small_for_it(
    here: Estimate, home: Estimate | None, said: str
) -> None:
    # sqrt(2) * 0.0255 = 0.036, and 1.96 times that is 0.071
    assert differs(here, home) == said


def test_two_sets_of_one_truth_seldom_differ_beyond_chance() -> None:
    draw, said = np.random.default_rng(1), []
    for _ in range(400):
        found = []
        for scans in (150, 400):
            share = draw.binomial(scans, 0.8) / scans
            half = 1.96 * np.sqrt(share * (1 - share) / scans)
            found.append(Estimate(share, share - half, share + half))
        said.append("beyond" in differs(*found))
    assert 0.01 <= np.mean(said) <= 0.09


def test_a_wide_interval_says_how_many_scans_would_do() -> None:
    assert wanted(Estimate(0.8, 0.7, 0.9), 50) == "about 200 of each label"
    assert wanted(Estimate(0.8, 0.76, 0.84), 50) == ""
    assert wanted(Estimate(0.8, None, None), 50) == ""


def test_every_row_has_a_cell_a_column() -> None:
    scores = scored()
    numbers = {f"{SPLIT}.{name}": 0.5 for name in ("scans", "patients", "prevalence", "threshold", "auc")}
    assert {len(row) for row in beside_home(numbers, {}, Outcomes.of(scores))} == {len(COLUMNS)}
