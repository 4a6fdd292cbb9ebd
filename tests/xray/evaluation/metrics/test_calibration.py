"""Reliability bins and the calibration error by hand."""

import numpy as np
import pytest

from xray.evaluation.metrics.calibration import calibration_error, reliability

# Four bins of a quarter: 0.1 and 0.2 | none | 0.5 and 0.6 | 0.75 and 1.0
P = np.array([0.1, 0.2, 0.5, 0.6, 0.75, 1.0])
Y = np.array([False, True, False, True, True, True])


def test_bins_hold_their_lower_edge_and_the_last_one_holds_1() -> None:
    found = reliability(Y, P, bins=4)
    assert found.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.scans.tolist() == [2, 0, 2, 2]


def test_empty_bins_have_no_entry() -> None:
    found = reliability(Y, P, bins=4)
    assert found.filled.tolist() == [True, False, True, True]
    assert found.predicted == pytest.approx([0.15, 0.55, 0.875])
    assert found.observed == pytest.approx([0.5, 0.5, 1.0])


def test_a_score_on_a_decimal_edge_falls_into_its_own_bin() -> None:
    # 0.29 * 100 is 28.999… in floating point.
    assert np.flatnonzero(reliability(np.array([True]), np.array([0.29]), bins=100).scans).tolist() == [29]


def test_calibration_error_by_hand() -> None:
    # Each bin holds a third of the scans; gaps 0.35, 0.05 and 0.125.
    assert calibration_error(Y, P, 4, np.ones((1, 6))) == pytest.approx([(0.35 + 0.05 + 0.125) / 3])


def test_calibration_error_counts_scans_by_weight() -> None:
    # Twice the first scan: the first bin holds 3 of 7 scans, gap |0.4/3 - 1/3|.
    weights = np.array([[2.0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    by_hand = (abs(0.4 - 1) + abs(1.1 - 1) + abs(1.75 - 2)) / 7
    assert calibration_error(Y, P, 4, weights) == pytest.approx([by_hand, 0.175])


def test_certain_and_right_is_perfectly_calibrated() -> None:
    assert calibration_error(Y, Y.astype(np.float64), 15, np.ones((1, 6)))[0] == 0
