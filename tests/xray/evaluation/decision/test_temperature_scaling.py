"""Temperature scaling against distortions that are known, by hand, and against scipy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import metrics as sklearn

from xray.errors import EvaluationError
from xray.evaluation.decision.temperature_scaling import BOUNDS, apply_temperature, fit_temperature

Scored = tuple[NDArray[np.float64], NDArray[np.int64]]


def calibrated(scans: int, classes: int, seed: int = 0) -> Scored:
    """Probabilities, and classes drawn with those very probabilities."""
    generator = np.random.default_rng(seed)
    p = softmax(generator.normal(scale=1.5, size=(scans, classes)), axis=1)
    drawn = (generator.random(scans)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    return p, np.minimum(drawn, classes - 1).astype(np.int64)


def loss(p: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    return float(sklearn.log_loss(truth, p, labels=list(range(p.shape[1]))))


def test_two_squares_and_takes_the_root_of_the_odds_by_hand() -> None:
    # Odds of 4 become 2 at temperature 2, and 16 at 0.5.
    p = np.array([[0.8, 0.2]])
    assert apply_temperature(p, 2) == pytest.approx(np.array([[2 / 3, 1 / 3]]))
    assert apply_temperature(p, 0.5) == pytest.approx(np.array([[16 / 17, 1 / 17]]))


def test_it_divides_the_logits() -> None:
    logits = np.random.default_rng(1).normal(scale=3, size=(50, 4))
    assert apply_temperature(softmax(logits, axis=1), 1.7) == pytest.approx(softmax(logits / 1.7, axis=1))


def test_a_temperature_of_one_changes_nothing_to_the_last_bit() -> None:
    p, _ = calibrated(200, 3)
    assert np.array_equal(apply_temperature(p, 1.0), p)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1, 3, 20])
def test_certainty_stays_certain(temperature: float) -> None:
    sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert apply_temperature(sure, temperature).tolist() == sure.tolist()
    assert apply_temperature(np.array([[0.0, 0.5, 0.5]]), temperature)[0] == pytest.approx([0, 0.5, 0.5])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0.05, 20))
def test_rows_add_up_to_1_and_the_order_of_the_scans_stays(p: list[float], temperature: float) -> None:
    rising = np.sort(p)
    found = apply_temperature(np.column_stack([rising, 1 - rising]), temperature)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(p)))
    assert (np.diff(found[:, 0]) >= -1e-12).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.floats(0.3, 5))
def test_the_likeliest_class_stays(seed: int, classes: int, temperature: float) -> None:
    p, _ = calibrated(40, classes, seed)
    assert (apply_temperature(p, temperature).argmax(axis=1) == p.argmax(axis=1)).all()


def test_auc_stays_with_two_classes() -> None:
    p, truth = calibrated(500, 2)
    before, after = (sklearn.roc_auc_score(truth == 0, each[:, 0]) for each in (p, apply_temperature(p, 2.5)))
    assert after == before


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_fit_finds_the_temperature_that_scores_were_distorted_by(classes: int, temperature: float) -> None:
    p, truth = calibrated(20_000, classes)
    distorted = apply_temperature(p, 1 / temperature)  # at 3 three times as sure as it should be
    assert fit_temperature(distorted, truth) == pytest.approx(temperature, rel=0.05)


def test_the_fit_finds_the_least_loss_of_a_fine_grid() -> None:
    p, truth = calibrated(300, 3, seed=4)
    sharp = apply_temperature(p, 0.4)
    grid = np.geomspace(*BOUNDS, 600)
    losses = [loss(apply_temperature(sharp, float(at)), truth) for at in grid]
    found = fit_temperature(sharp, truth)
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.01)
    assert loss(apply_temperature(sharp, found), truth) <= min(losses) + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 30), st.floats(0.3, 3))
def test_the_fit_is_never_worse_than_no_temperature(seed: int, classes: int, scans: int, sharpness: float) -> None:
    p, truth = calibrated(scans, classes, seed)
    given_p = apply_temperature(p, sharpness)
    assert loss(apply_temperature(given_p, fit_temperature(given_p, truth)), truth) <= loss(given_p, truth) + 1e-6


def test_a_model_that_is_always_right_or_always_wrong_gets_an_end_of_the_bounds() -> None:
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    assert fit_temperature(p, np.array([0, 1])) == pytest.approx(BOUNDS[0], rel=1e-12)
    assert fit_temperature(p, np.array([1, 0])) == pytest.approx(BOUNDS[1], rel=1e-12)


def test_one_scan_that_was_given_no_chance_does_not_decide_by_itself() -> None:
    p, truth = calibrated(2000, 2)
    with_one = np.vstack([p, [[1.0, 0.0]]]), np.append(truth, 1)
    assert 1.0 < fit_temperature(*with_one) < 1.2


def test_scans_of_no_class_are_left_out() -> None:
    p, truth = calibrated(400, 3)
    sharp = apply_temperature(p, 0.5)
    hidden = np.where(np.arange(400) % 4 == 0, -1, truth)
    assert fit_temperature(sharp, hidden) == fit_temperature(sharp[hidden >= 0], truth[hidden >= 0])


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(EvaluationError, match="temperature must be above 0"):
        apply_temperature(np.array([[0.5, 0.5]]), temperature)


@pytest.mark.parametrize(
    ("p", "truth", "message"),
    [
        ([[0.5, 0.6]], [0], r"add up to 1\. Received: \[0\.5, 0\.6\] in row 0"),
        ([[0.5, 0.5], [1.2, -0.2]], [0, 1], "within 0 to 1 .* in row 1"),
        ([[np.nan, 0.5]], [0], "in row 0"),
        ([[1.0]], [0], "a column a class"),
        ([[0.5, 0.5]], [0, 1], r"one a scan\. Received: \(2,\) for 1 scans"),
        ([[0.5, 0.5]], [2], r"within -1 to 1\. Received: 2 in row 0"),
        ([[0.5, 0.5]], [-2], r"Received: -2 in row 0"),
        ([[0.5, 0.5]], [-1], "at least one scan must have a class"),
    ],
)
def test_what_cannot_be_fitted_is_refused(p: list[list[float]], truth: list[int], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        fit_temperature(np.array(p), np.array(truth))
