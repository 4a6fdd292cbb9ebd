"""Threshold rules against values worked out by hand, scikit-learn's curve, and every threshold there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from xray.config import Evaluation, load_config
from xray.errors import ConfigError, EvaluationError
from xray.evaluation.decision.thresholds import choose_threshold
from xray.evaluation.metrics import binary as metrics

# Three pneumonia scans, five normal ones; one of each share the score 0.4.
Y = np.array([True, True, True, False, False, False, False, False])
P = np.array([0.9, 0.8, 0.4, 0.6, 0.4, 0.3, 0.2, 0.1])

Scans = tuple[NDArray[np.bool_], NDArray[np.float64]]


@st.composite
def scans(draw: st.DrawFn) -> Scans:
    """Scans of both labels, with many equal scores."""
    scores = st.integers(0, 20).map(lambda twentieth: twentieth / 20)
    rows = draw(st.lists(st.tuples(st.booleans(), scores), max_size=40))
    rows += [(True, draw(scores)), (False, draw(scores))]
    y, p = zip(*rows, strict=True)
    return np.array(y), np.array(p)


def by(rule: str, missed_cost: float = 5.0) -> Evaluation:
    return Evaluation(threshold=rule, missed_cost=missed_cost)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Sensitivity - (1 - specificity): 1/3 from 0.9 on, 2/3 from 0.8, 7/15 from 0.6, 3/5 from 0.4, …
        ("youden", (0.8 + 0.6) / 2),
        # All three are found from 0.4 on, at the cost of 0.6 and 0.4.
        ("sensitivity>=1", (0.4 + 0.3) / 2),
        ("sensitivity>=0.67", (0.4 + 0.3) / 2),
        # Two of three are found from 0.8 on, and no normal one is called.
        ("sensitivity>=0.66", (0.8 + 0.6) / 2),
        ("specificity>=1", (0.8 + 0.6) / 2),
        ("specificity>=0.8", (0.8 + 0.6) / 2),  # 4 of 5 from 0.6 on, which finds no more
        ("specificity>=.6", (0.4 + 0.3) / 2),
        ("cost", (0.4 + 0.3) / 2),  # 2 false alarms; from 0.8 on a missed one costs 5
    ],
)
def test_each_rule_by_hand(rule: str, expected: float) -> None:
    assert choose_threshold(Y, P, by(rule)) == pytest.approx(expected)


def test_a_missed_pneumonia_that_costs_little_is_missed() -> None:
    assert choose_threshold(Y, P, by("cost", missed_cost=1.5)) == pytest.approx((0.8 + 0.6) / 2)


def test_the_lowest_of_equally_good_thresholds_is_taken() -> None:
    # From 0.8 on: 1/2 - 0. From 0.4 on: 2/2 - 1/2. The lower one misses no pneumonia.
    y, p = np.array([True, False, True, False]), np.array([0.8, 0.6, 0.4, 0.2])
    assert choose_threshold(y, p, by("youden")) == pytest.approx(0.3)
    assert choose_threshold(y, p, by("cost", missed_cost=1)) == pytest.approx(0.3)


@pytest.mark.parametrize("p", [[0.7, 0.7, 0.7], [0.1, 0.2, 0.9]])
def test_all_is_called_pneumonia_where_no_threshold_helps(p: list[float]) -> None:
    assert choose_threshold(np.array([True, True, False]), np.array(p), by("youden")) == 0.0


def test_scores_with_no_number_in_between_are_kept_apart() -> None:
    p = np.array([0.5, np.nextafter(0.5, 1)])
    threshold = choose_threshold(np.array([False, True]), p, by("youden"))
    assert (p >= threshold).tolist() == [False, True]


def test_a_specificity_out_of_reach_is_refused() -> None:
    y, p = np.array([True, False, False]), np.array([0.2, 0.9, 0.9])
    with pytest.raises(EvaluationError, match=r"reachable .* Received: specificity>=0.9, .* calls 2 of 2 normal"):
        choose_threshold(y, p, by("specificity>=0.9"))


@settings(max_examples=50, deadline=None)
@given(scans())
def test_youden_finds_the_best_that_scikit_learn_finds(both: Scans) -> None:
    y, p = both
    false_alarms, found, _ = sklearn.roc_curve(y, p)
    chosen = metrics.compute_metrics(y, p, choose_threshold(y, p, by("youden")))
    assert chosen["sensitivity"] + chosen["specificity"] - 1 == pytest.approx((found - false_alarms).max())


@settings(max_examples=50, deadline=None)
@given(scans(), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_a_bound_holds_and_nothing_within_it_is_better(both: Scans, least: float) -> None:
    y, p = both
    every = [metrics.compute_metrics(y, p, float(at)) for at in {0.0, *p}]
    chosen = metrics.compute_metrics(y, p, choose_threshold(y, p, by(f"sensitivity>={least}")))
    assert chosen["sensitivity"] >= least
    assert chosen["specificity"] == max(each["specificity"] for each in every if each["sensitivity"] >= least)
    within = [each["sensitivity"] for each in every if each["specificity"] >= least]
    if within:
        chosen = metrics.compute_metrics(y, p, choose_threshold(y, p, by(f"specificity>={least}")))
        assert chosen["specificity"] >= least
        assert chosen["sensitivity"] == max(within)


@pytest.mark.parametrize("rule", ["sensitivity>=0.95", "specificity>=.9", "cost", "youden", "sensitivity>=1"])
def test_a_rule_is_set_on_the_command_line(rule: str) -> None:
    assert load_config("quick", [f"evaluation.threshold={rule}"]).evaluation.threshold == rule


@pytest.mark.parametrize("rule", ["best", "sensitivity>0.9", "sensitivity>=1.5", "sensitivity>=-0.1", "specificity>="])
def test_a_rule_that_is_not_known_is_refused(rule: str) -> None:
    with pytest.raises(ConfigError, match="evaluation.threshold"):
        load_config("quick", [f"evaluation.threshold={rule}"])
