"""Figures of several classes by hand and against scikit-learn."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import metrics as sklearn

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.multiclass import (
    COLUMNS,
    LEAST_SCANS,
    METRICS,
    ClassEvaluation,
    ClassScores,
    class_figures,
    class_scores,
    evaluate_classes,
    too_few,
)

CLASSES = ("normal", "bacterial", "viral", "covid-19")
SETTINGS = config.Evaluation(bootstrap_draws=200)


def made_up(counts: Sequence[int], seed: int = 0) -> ClassScores:
    """Scans by class, told apart fairly well, two to a patient; the last four are of no class."""
    generator = np.random.default_rng(seed)
    truth = generator.permutation(np.repeat(np.arange(len(counts)), counts))
    logits = generator.normal(size=(len(truth) + 4, len(counts)))
    logits[np.arange(len(truth)), truth] += 1.5
    rough = softmax(logits, axis=1).round(2)  # with ties
    return ClassScores(
        split="test",
        classes=CLASSES[: len(counts)],
        class_index=np.append(truth, [-1] * 4).astype(np.int64),
        probabilities=rough / rough.sum(axis=1, keepdims=True),
        patients=[f"person{number // 2}" for number in range(len(logits))],
    )


@pytest.fixture
def scores() -> ClassScores:
    return made_up([40, 60, 30, 4])


@pytest.fixture
def evaluated(scores: ClassScores) -> ClassEvaluation:
    return evaluate_classes(scores, SETTINGS)


def points(scores: ClassScores, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    weights = metrics.unit_weights(len(scores.class_index)) if weights is None else weights
    found = class_figures(scores.classes, scores.class_index, scores.probabilities, weights)
    return {name: float(values[0]) for name, values in found.items()}


def by_scikit_learn(scores: ClassScores, weights: NDArray[np.float64]) -> dict[str, float]:
    """Every figure where each class has enough scans."""
    known = scores.class_index >= 0
    y, p, by = scores.class_index[known], scores.probabilities[known], {"sample_weight": weights[known]}
    called, labels = p.argmax(axis=1), list(range(p.shape[1]))
    found = {
        "accuracy": sklearn.accuracy_score(y, called, **by),
        "macro_auc": sklearn.roc_auc_score(y, p, multi_class="ovr", average="macro", labels=labels, **by),
        "macro_f1": sklearn.f1_score(y, called, average="macro", **by),
        "macro_sensitivity": sklearn.recall_score(y, called, average="macro", **by),
    }
    for place, name in enumerate(scores.classes):
        one, so = y == place, called == place
        found |= {
            f"auc_{name}": sklearn.roc_auc_score(one, p[:, place], **by),
            f"sensitivity_{name}": sklearn.recall_score(one, so, **by),
            f"specificity_{name}": sklearn.recall_score(~one, ~so, **by),
            f"precision_{name}": sklearn.precision_score(one, so, **by),
            f"f1_{name}": sklearn.f1_score(one, so, **by),
        }
    return found


def test_decisions_of_three_classes_by_hand() -> None:
    # Ten scans of each of two classes: of the first 8 are called so, one is called the third; of the second 9.
    called = np.repeat([0, 1, 2, 1, 0], [8, 1, 1, 9, 1])
    truth = np.repeat([0, 1], 10)
    found = points(ClassScores("test", CLASSES[:3], truth, np.eye(3)[called], ["a"] * 20))
    assert found.keys() == {
        "accuracy", "macro_auc", "macro_f1", "macro_sensitivity",
        *(f"{figure}_{name}" for figure in METRICS for name in ("normal", "bacterial")),
    }  # fmt: skip
    assert found["accuracy"] == pytest.approx(17 / 20)
    assert found["sensitivity_normal"] == pytest.approx(8 / 10)
    assert found["specificity_normal"] == pytest.approx(9 / 10)
    assert found["precision_normal"] == pytest.approx(8 / 9)
    assert found["precision_bacterial"] == pytest.approx(9 / 10)
    assert found["f1_normal"] == pytest.approx(16 / 19)
    # A decision as a score: 8 of 10 against 9 of 10, and ties of 8 with 1 and of 2 with 9 that count half.
    assert found["auc_normal"] == pytest.approx((8 * 9 + (8 * 1 + 2 * 9) / 2) / 100)
    assert found["macro_sensitivity"] == pytest.approx((0.8 + 0.9) / 2)
    assert found["macro_f1"] == pytest.approx((16 / 19 + 18 / 20) / 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 4))
def test_every_figure_agrees_with_scikit_learn(seed: int, classes: int) -> None:
    scores = made_up([20, 30, 12, 15][:classes], seed)
    weights = np.random.default_rng(seed).integers(1, 4, size=len(scores.class_index)).astype(np.float64)
    for by in (np.ones_like(weights), weights):
        assert points(scores, by[None, :]) == pytest.approx(by_scikit_learn(scores, by), abs=1e-9)


def test_scans_of_no_class_count_nowhere(scores: ClassScores) -> None:
    known = scores.class_index >= 0
    kept = ClassScores(
        "test",
        CLASSES,
        scores.class_index[known],
        scores.probabilities[known],
        np.array(scores.patients)[known].tolist(),
    )
    assert points(scores) == points(kept)
    assert evaluate_classes(scores, SETTINGS).flat("test") == evaluate_classes(kept, SETTINGS).flat("test")


def test_a_class_with_too_few_scans_has_no_figure_and_counts_among_the_rest(scores: ClassScores) -> None:
    found = points(scores)
    assert not [name for name in found if name.endswith("covid-19")]
    called, truth = scores.probabilities.argmax(axis=1), scores.class_index
    rest = (truth >= 0) & (truth != 0)
    assert found["specificity_normal"] == pytest.approx((called[rest] != 0).mean())
    assert found["accuracy"] == pytest.approx((called == truth)[truth >= 0].mean())
    means = [found[f"auc_{name}"] for name in CLASSES[:3]]
    assert found["macro_auc"] == pytest.approx(np.mean(means))


def test_ten_scans_are_enough_and_nine_are_too_few() -> None:
    truth = np.repeat([0, 1, 2, -1], [10, 9, 0, 30])
    assert LEAST_SCANS == 10
    assert too_few(CLASSES[:3], truth) == {"bacterial": 9, "viral": 0}


def test_where_no_class_has_enough_there_is_accuracy_alone() -> None:
    assert points(made_up([5, 5, 5])).keys() == {"accuracy"}


def test_a_draw_without_a_class_leaves_out_what_needs_that_class(scores: ClassScores) -> None:
    weights = np.stack([scores.class_index != 2, np.ones(len(scores.class_index))]).astype(np.float64)
    found = class_figures(CLASSES, scores.class_index, scores.probabilities, weights)
    undefined = {name for name, values in found.items() if np.isnan(values[0])}
    assert undefined == {"auc_viral", "sensitivity_viral", "macro_auc", "macro_sensitivity"}
    assert not [name for name, values in found.items() if np.isnan(values[1])]


def test_the_evaluation_has_the_point_estimates_inside_their_intervals(
    scores: ClassScores, evaluated: ClassEvaluation
) -> None:
    flat = evaluated.flat("test_classes")
    for name, value in points(scores).items():
        assert flat[f"test_classes.{name}"] == pytest.approx(value)
        assert flat[f"test_classes.{name}_low"] <= value <= flat[f"test_classes.{name}_high"]
    assert (flat["test_classes.scans"], flat["test_classes.patients"]) == (134, 67)
    assert flat["test_classes.scans_covid-19"] == 4


def test_numbers_are_finite_and_named_as_mlflow_allows(evaluated: ClassEvaluation) -> None:
    for name, number in evaluated.flat("test").items():
        assert math.isfinite(number)
        assert re.fullmatch(r"test\.[a-z0-9_-]+", name)


def test_the_confusion_matrix_is_scikit_learns(scores: ClassScores, evaluated: ClassEvaluation) -> None:
    known = scores.class_index >= 0
    called = scores.probabilities[known].argmax(axis=1)
    assert evaluated.confusion.tolist() == sklearn.confusion_matrix(scores.class_index[known], called).tolist()
    assert evaluated.confusion.dtype == np.int64


def test_the_table_says_every_figure_and_which_class_has_too_few_scans(evaluated: ClassEvaluation) -> None:
    rows = evaluated.rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert rows[0] == ("scans (patients)", "134 (67)")
    assert ("bacterial scans", "60") in rows
    assert ("macro auc", str(evaluated.figures["macro_auc"])) in rows
    assert rows[-1] == ("covid-19", "4 scans, too few")


def test_a_figure_that_the_scans_leave_undefined_says_so() -> None:
    # No scan is called viral, so there is no precision of it.
    truth = np.repeat([0, 1, 2], 10)
    p = np.eye(3)[np.repeat([0, 1], [10, 20])]
    found = evaluate_classes(ClassScores("test", CLASSES[:3], truth, p, [str(n) for n in range(30)]), SETTINGS)
    assert found.figures["precision_viral"] is None
    assert ("precision viral", "undefined") in found.rows()
    assert "test.precision_viral" not in found.flat("test")


def test_patients_are_drawn_whole(scores: ClassScores) -> None:
    apart = ClassScores(
        "test", CLASSES, scores.class_index, scores.probabilities, [str(n) for n in range(len(scores.patients))]
    )
    found = evaluate_classes(apart, SETTINGS)
    assert found.patients == 134
    assert found.figures["accuracy"] != evaluate_classes(scores, SETTINGS).figures["accuracy"]


def test_a_table_of_scores_is_read_by_the_names_of_its_columns() -> None:
    table = pd.DataFrame(
        {
            "patient_id": ["a", "b", "c"],
            "subtype": ["streptococcus", "ards", "normal"],
            "split": "validation",
            "p_viral": [0.1, 0.2, 0.3],
            "p_normal": [0.2, 0.3, 0.6],
            "p_bacterial": [0.7, 0.5, 0.1],
        }
    )
    found = class_scores(table, CLASSES[:3])
    assert (found.split, found.patients) == ("validation", ["a", "b", "c"])
    assert found.class_index.tolist() == [1, -1, 0]
    assert found.probabilities.tolist() == [[0.2, 0.7, 0.1], [0.3, 0.5, 0.2], [0.6, 0.1, 0.3]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patients": ["a"]}, r"a row a patient id and a column a class, \(1, 4\)"),
        ({"classes": CLASSES[:3]}, r"Received: \(138, 4\)"),
        ({"class_index": np.full(138, -1)}, "at least one scan must have a class"),
        ({"class_index": np.full(138, 4)}, "within -1 to 3"),
        ({"probabilities": np.full((138, 4), 0.3)}, "add up to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(scores: ClassScores, change: dict[str, object], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate_classes(ClassScores(**{**vars(scores), **change}), SETTINGS)
