"""A mean keeps its figure's name; a standard deviation says how far one training differs from the next."""

import pytest

from xray.evaluation.metrics.aggregate import mean_and_sd


def test_a_mean_keeps_the_name_and_the_standard_deviation_is_over_n_minus_1() -> None:
    found = mean_and_sd([{"test.auc": 0.7}, {"test.auc": 0.8}, {"test.auc": 0.9}])
    assert found == {"test.auc": pytest.approx(0.8), "test.auc_sd": pytest.approx(0.1)}


def test_ends_of_intervals_are_not_averaged() -> None:
    each = {"test.auc": 0.8, "test.auc_low": 0.7, "test.auc_high": 0.9, "test.draws_left_out": 3.0}
    assert set(mean_and_sd([each, each])) == {"test.auc", "test.auc_sd"}


def test_a_figure_that_one_training_lacks_is_left_out() -> None:
    assert mean_and_sd([{"a": 1.0, "b": 1.0}, {"a": 1.0}]) == {"a": 1.0, "a_sd": 0.0}
