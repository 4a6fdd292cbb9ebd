"""The policy held against figures."""

import numpy as np
import pandas as pd
import pytest

from xray import config
from xray.evaluation.metrics.paired_comparison import Comparison, compare
from xray.evaluation.metrics.split_metrics import Evaluation, evaluate_split
from xray.promotion.policy import check_all

DRAWS = config.Evaluation(bootstrap_draws=200)
OPEN = config.Promotion(
    min_sensitivity=0, min_specificity=0, max_calibration_error=1,
    margin_auc=1, margin_sensitivity=1, margin_specificity=1,
)  # fmt: skip
"""A policy that lets everything pass."""


@pytest.fixture
def evaluated(scored: pd.DataFrame) -> Evaluation:
    return evaluate_split(scored, 0.5, DRAWS)


def against(champion: pd.DataFrame, challenger: pd.DataFrame) -> Comparison:
    return compare(champion, challenger, (0.5, 0.5), DRAWS)


def held(evaluated: Evaluation, comparison: Comparison | None, **changes: float) -> list[bool]:
    return [check.held for check in check_all(evaluated, comparison, OPEN.model_copy(update=changes))]


def test_without_a_champion_the_floors_alone_decide(evaluated: Evaluation) -> None:
    assert held(evaluated, None) == [True, True, True]


@pytest.mark.parametrize(
    ("rule", "figure", "place", "sign"),
    [("min_sensitivity", "sensitivity", 0, 1), ("min_specificity", "specificity", 1, 1),
     ("max_calibration_error", "calibration_error", 2, -1)],
)  # fmt: skip
def test_a_floor_holds_at_the_figure_itself_and_not_beyond(
    rule: str, figure: str, place: int, sign: int, evaluated: Evaluation
) -> None:
    value = {**evaluated.ranking, **evaluated.chosen.figures}[figure].value
    assert held(evaluated, None, **{rule: value}) == [True, True, True]
    beyond = held(evaluated, None, **{rule: value + sign * 1e-6})
    assert beyond == [number != place for number in range(3)]


def test_a_model_against_itself_loses_nothing(scored: pd.DataFrame, evaluated: Evaluation) -> None:
    checks = check_all(evaluated, against(scored, scored), OPEN.model_copy(update={"margin_auc": 0.001}))
    assert all(check.held for check in checks)
    assert checks[3].rule == "loss of auc against the champion must be below 0.001 at 95 %"
    assert checks[3].seen == "+0.000 (+0.000 to +0.000)"


def test_the_margin_is_held_against_the_lower_end_of_the_interval(scored: pd.DataFrame, evaluated: Evaluation) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=len(scored))
    comparison = against(scored, scored.assign(p_pneumonia=np.clip(scored["p_pneumonia"] + noise, 0, 1)))
    low = comparison.differences["specificity"].difference.low
    assert low is not None and low < 0
    assert held(evaluated, comparison, margin_specificity=-low + 1e-6)[3:] == [True, True, True]
    assert held(evaluated, comparison, margin_specificity=-low)[3:] == [True, True, False]


def test_no_interval_is_no_proof(scored: pd.DataFrame, evaluated: Evaluation) -> None:
    one = scored.assign(patient_id="the same")
    assert held(evaluated, against(one, one), margin_auc=0.5) == [True, True, True, False, False, False]


def test_what_failed_is_said_with_what_came(evaluated: Evaluation) -> None:
    (check, *_) = check_all(evaluated, None, OPEN.model_copy(update={"min_sensitivity": 1}))
    assert str(check) == f"sensitivity must be at least 1. Received: {evaluated.chosen.figures['sensitivity']}"


@pytest.mark.parametrize(
    ("marked", "holds", "seen"),
    [(True, False, "not shown"), (False, True, "shown"), (None, False, "not tested")],
)
def test_a_marked_challenger_is_refused_where_the_policy_asks(
    evaluated: Evaluation, marked: bool | None, holds: bool, seen: str
) -> None:
    assert all(check.held for check in check_all(evaluated, None, OPEN, marked)), "unless asked, it does not matter"
    *_, check = check_all(evaluated, None, OPEN.model_copy(update={"refuse_marked": True}), marked)
    assert (check.held, check.seen) == (holds, seen)
