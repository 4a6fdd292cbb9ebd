"""Figures against values worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from xray.errors import EvaluationError, XrayError
from xray.evaluation.metrics import binary as metrics

# Three pneumonia scans, five normal ones; one of each share the score 0.4.
Y = np.array([True, True, True, False, False, False, False, False])
P = np.array([0.9, 0.8, 0.4, 0.6, 0.4, 0.3, 0.2, 0.1])


def test_every_figure_of_eight_scans_by_hand() -> None:
    found = metrics.compute_metrics(Y, P, threshold=0.7, bins=2)
    assert found == pytest.approx(
        {
            # From 0.7 on: 0.9 and 0.8 are called pneumonia, rightly; 0.4 is missed.
            "tp": 2,
            "fp": 0,
            "tn": 5,
            "fn": 1,
            "accuracy": 7 / 8,
            "sensitivity": 2 / 3,
            "specificity": 1.0,
            "f1": 4 / (4 + 0 + 1),
            # 15 pairs: 0.9 and 0.8 win 5 each; 0.4 loses to 0.6, ties with 0.4, wins 3.
            "auc": (5 + 5 + 3.5) / 15,
            # Recall rises by a third at 0.9, 0.8 and 0.4, where precision is 1/1, 2/2 and 3/5.
            "average_precision": (1 + 1 + 3 / 5) / 3,
            "brier": (0.01 + 0.04 + 0.36 + 0.36 + 0.16 + 0.09 + 0.04 + 0.01) / 8,
            # Below 0.5: scores add up to 1.4, one pneumonia; above: 2.3, two pneumonias.
            "calibration_error": (abs(1.4 - 1) + abs(2.3 - 2)) / 8,
        }
    )


def test_a_scan_at_the_threshold_is_called_pneumonia() -> None:
    assert metrics.compute_metrics(Y, P, threshold=0.8)["tp"] == 2
    assert metrics.compute_metrics(Y, P, threshold=np.nextafter(0.8, 1))["tp"] == 1


def test_figures_take_the_scans_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(len(Y))
    assert metrics.compute_metrics(Y[order], P[order], 0.5) == pytest.approx(metrics.compute_metrics(Y, P, 0.5))


scores = st.one_of(st.integers(0, 8).map(lambda eighth: eighth / 8), st.floats(0, 1, allow_subnormal=False))


@st.composite
def weighted_scans(
    draw: st.DrawFn,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]:
    rows = draw(st.lists(st.tuples(st.booleans(), scores, st.integers(0, 3)), min_size=0, max_size=40))
    rows += [(True, draw(scores), 1), (False, draw(scores), 2)]
    y, p, counts = zip(*rows, strict=True)
    return np.array(y), np.array(p), np.array(counts)


@settings(max_examples=80, deadline=None)
@given(weighted_scans(), scores)
def test_weighted_figures_agree_with_scikit_learn_ties_included(
    scans: tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]], threshold: float
) -> None:
    y, p, counts = scans
    weights = counts[None, :].astype(np.float64)
    called, normal = p >= threshold, ~y
    found = metrics.ranking_figures(y, p, 15, weights) | metrics.decision_figures(y, p, threshold, weights)
    expected = {
        "auc": sklearn.roc_auc_score(y, p, sample_weight=counts),
        "average_precision": sklearn.average_precision_score(y, p, sample_weight=counts),
        "brier": sklearn.brier_score_loss(y, p, sample_weight=counts),
        "accuracy": sklearn.accuracy_score(y, called, sample_weight=counts),
        "sensitivity": sklearn.recall_score(y, called, sample_weight=counts),
        "specificity": sklearn.recall_score(normal, ~called, sample_weight=counts),
        "f1": sklearn.f1_score(y, called, sample_weight=counts, zero_division=0),
    }
    assert {name: found[name][0] for name in expected} == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(weighted_scans(), scores)
def test_a_weight_counts_like_a_repeated_row(
    scans: tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]], threshold: float
) -> None:
    y, p, counts = scans
    weights = counts[None, :].astype(np.float64)
    weighted = metrics.ranking_figures(y, p, 15, weights) | metrics.decision_figures(y, p, threshold, weights)
    repeated = metrics.compute_metrics(np.repeat(y, counts), np.repeat(p, counts), threshold)
    assert {name: values[0] for name, values in weighted.items()} == pytest.approx(
        {name: repeated[name] for name in weighted}, abs=1e-9
    )


def test_a_draw_without_a_class_leaves_out_what_needs_that_class() -> None:
    only_normal, only_pneumonia = (~Y).astype(np.float64), Y.astype(np.float64)
    weights = np.stack([only_normal, only_pneumonia, np.ones(len(Y))])
    found = metrics.ranking_figures(Y, P, 2, weights) | metrics.decision_figures(Y, P, 0.5, weights)
    undefined = {name: np.isnan(values).tolist() for name, values in found.items()}
    assert undefined["auc"] == [True, True, False]
    assert undefined["average_precision"] == undefined["sensitivity"] == [True, False, False]
    assert undefined["specificity"] == [False, True, False]
    assert undefined["accuracy"] == undefined["brier"] == undefined["calibration_error"] == [False] * 3


@pytest.mark.parametrize(
    ("y", "p", "threshold", "message"),
    [
        ([True, False], [0.5], 0.5, "one length"),
        ([True, False], [0.5, 1.01], 0.5, r"within 0 to 1\. Received: 1\.01 in row 1"),
        ([True, False], [-0.1, 0.5], 0.5, "within 0 to 1"),
        ([True, False], [0.5, np.nan], 0.5, "Received: nan in row 1"),
        ([True, False], [0.5, 0.5], 1.5, "threshold must be"),
        ([True, False], [0.5, 0.5], np.nan, "threshold must be"),
        ([True, True], [0.5, 0.5], 0.5, "both labels. Received: 2 with the finding, 0 normal"),
        ([False, False], [0.5, 0.5], 0.5, "both labels. Received: 0 with the finding, 2 normal"),
        ([], [], 0.5, "both labels. Received: 0 with the finding, 0 normal"),
    ],
)
def test_what_has_no_figure_is_refused(y: list[bool], p: list[float], threshold: float, message: str) -> None:
    with pytest.raises(EvaluationError, match=message) as refusal:
        metrics.compute_metrics(np.array(y, dtype=bool), np.array(p), threshold)
    assert isinstance(refusal.value, XrayError)
