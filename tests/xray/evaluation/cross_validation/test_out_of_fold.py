"""Out-of-fold scores in one table, decided at a threshold that their own fold had no part in."""

import numpy as np
import pandas as pd
import pytest

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.cross_validation.out_of_fold import (
    DECIDED,
    SCAN,
    FoldScores,
    OutOfFold,
    evaluate_out_of_fold,
    gather,
)
from xray.evaluation.decision.thresholds import choose_threshold
from xray.evaluation.metrics.split_metrics import evaluate_split

SETTINGS = config.Evaluation(bootstrap_draws=200)


@pytest.fixture
def folds(scored: pd.DataFrame) -> list[FoldScores]:
    """The sixty scans in three folds of whole patients, each fold with a threshold of its own."""
    scans = scored.assign(source=np.where(scored["subtype"] == "covid-19", "foreign", "person")).drop(columns="split")
    number = np.arange(60) // 2 % 3
    return [FoldScores(fold, 0, 0.3 + 0.1 * fold, scans[number == fold]) for fold in range(3)]


@pytest.fixture
def table(folds: list[FoldScores]) -> pd.DataFrame:
    return gather(folds, SETTINGS)


@pytest.fixture
def evaluated(table: pd.DataFrame) -> OutOfFold:
    return evaluate_out_of_fold(table, SETTINGS)


def test_each_scan_has_one_row_with_its_own_folds_threshold(table: pd.DataFrame) -> None:
    assert list(table) == [*SCAN, "p_pneumonia", *DECIDED]
    assert table["image_id"].is_unique
    assert len(table) == 60
    assert (table["threshold"].round(6) == (0.3 + 0.1 * table["fold"]).round(6)).all()
    assert ((table["p_pneumonia"] >= table["threshold"]) == (table["decision"] == "pneumonia")).all()


def test_a_score_at_its_threshold_is_pneumonia(folds: list[FoldScores]) -> None:
    first = folds[0]
    exact = FoldScores(0, 0, float(first.scores["p_pneumonia"].iloc[0]), first.scores)
    row = gather([exact, *folds[1:]], SETTINGS).set_index("image_id").loc[first.scores["image_id"].iloc[0]]
    assert row["p_pneumonia"] == row["threshold"]
    assert row["decision"] == "pneumonia"


def test_the_nested_threshold_is_chosen_on_the_other_folds(table: pd.DataFrame) -> None:
    for fold in range(3):
        others = table[table["fold"] != fold]
        expected = choose_threshold(
            (others["label"] == "pneumonia").to_numpy(), others["p_pneumonia"].to_numpy(), SETTINGS
        )
        assert set(table.loc[table["fold"] == fold, "nested_threshold"]) == {expected}


def test_a_folds_own_labels_do_not_move_its_nested_threshold(folds: list[FoldScores]) -> None:
    first = folds[0]
    wrong = first.scores.assign(label=first.scores["label"].map({"normal": "pneumonia", "pneumonia": "normal"}))
    before, after = (gather([one, *folds[1:]], SETTINGS) for one in (first, FoldScores(0, 0, first.threshold, wrong)))
    own = [set(each.loc[each["fold"] == 0, "nested_threshold"]) for each in (before, after)]
    assert own[0] == own[1]


def test_a_scan_in_two_folds_is_refused(folds: list[FoldScores]) -> None:
    with pytest.raises(EvaluationError, match=r"one fold. Received: scan00\.jpeg in two"):
        gather([*folds, FoldScores(3, 0, 0.5, folds[0].scores)], SETTINGS)


def test_figures_without_a_threshold_are_those_of_a_split(table: pd.DataFrame, evaluated: OutOfFold) -> None:
    split = evaluate_split(table.assign(split="test"), 0.5, SETTINGS)
    for name, estimate in split.ranking.items():
        assert evaluated.figures[name] == estimate


def test_decisions_are_the_nested_ones(table: pd.DataFrame, evaluated: OutOfFold) -> None:
    positive = table["label"] == "pneumonia"
    called = table["nested_decision"] == "pneumonia"
    assert evaluated.figures["accuracy"].value == pytest.approx((positive == called).mean())
    assert evaluated.figures["sensitivity"].value == pytest.approx(called[positive].mean())
    assert evaluated.figures["specificity"].value == pytest.approx(1 - called[~positive].mean())
    assert evaluated.figures["sensitivity_at_half"].value == pytest.approx(
        (table["p_pneumonia"][positive] >= 0.5).mean()
    )


def test_a_subtype_that_test_lacks_has_figures_of_its_own(table: pd.DataFrame, evaluated: OutOfFold) -> None:
    covid, normal = (table[table["subtype"] == name] for name in ("covid-19", "normal"))
    pairs = covid["p_pneumonia"].to_numpy()[:, None] - normal["p_pneumonia"].to_numpy()[None, :]
    assert evaluated.figures["auc_covid-19"].value == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    called = covid["nested_decision"] == "pneumonia"
    assert evaluated.figures["sensitivity_covid-19"].value == pytest.approx(called.mean())
    assert evaluated.figures["sensitivity_source_foreign"] == evaluated.figures["sensitivity_covid-19"]
    assert evaluated.groups["covid-19"] == 20


def test_a_source_with_normal_scans_has_a_specificity(evaluated: OutOfFold) -> None:
    assert evaluated.figures["specificity_source_person"] == evaluated.figures["specificity"]
    assert "specificity_source_foreign" not in evaluated.figures


def test_a_source_with_one_normal_scan_has_no_specificity(table: pd.DataFrame) -> None:
    """In the public set one foreign scan is normal."""
    one = table.index[table["label"] == "normal"][0]
    moved = table.assign(source=table["source"].where(table.index != one, "foreign"))
    figures = evaluate_out_of_fold(moved, config.Evaluation(bootstrap_draws=100)).figures
    assert "specificity_source_foreign" not in figures
    assert {"sensitivity_source_foreign", "specificity_source_person"} <= set(figures)


def test_too_few_scans_are_counted_and_not_judged(table: pd.DataFrame) -> None:
    few = table.assign(
        subtype=table["subtype"].where(table.index != table.index[table["label"] == "pneumonia"][0], "sars")
    )
    evaluated = evaluate_out_of_fold(few, SETTINGS)
    assert evaluated.groups["sars"] == 1
    assert not [name for name in evaluated.figures if "sars" in name]
    assert ("sars", "1 scans, too few", "") in evaluated.rows()


def test_several_seeds_are_decided_apart_and_judged_together(folds: list[FoldScores], evaluated: OutOfFold) -> None:
    again = [FoldScores(each.fold, 1, each.threshold, each.scores) for each in folds]
    both = gather([*folds, *again], SETTINGS)
    assert len(both) == 120
    together = evaluate_out_of_fold(both, SETTINGS)
    assert (together.scans, together.patients, together.groups) == (60, 30, evaluated.groups)
    for name, estimate in evaluated.figures.items():
        twice = together.figures[name]
        assert (twice.value, twice.low, twice.high) == pytest.approx((estimate.value, estimate.low, estimate.high))


def test_numbers_bear_the_names_of_a_splits_figures(evaluated: OutOfFold) -> None:
    flat = evaluated.flat()
    assert flat["out_of_fold.auc_low"] <= flat["out_of_fold.auc"] <= flat["out_of_fold.auc_high"]
    assert flat["out_of_fold.scans"] == 60
    assert flat["out_of_fold.scans_covid-19"] == 20
