"""What an answer is worth: by Bayes by hand, and against counts where pneumonia is as common as there."""

import numpy as np
import pytest

from xray.errors import EvaluationError
from xray.evaluation.decision.predictive_values import predictive_values
from xray.evaluation.decision.referral import Band
from xray.evaluation.metrics.binary import unit_weights

# Of eight sick scans six are called pneumonia, one normal, one is referred; of four well ones one, two and one.
Y = np.array([True] * 8 + [False] * 4)
P = np.array([0.9] * 6 + [0.1, 0.5] + [0.9, 0.1, 0.1, 0.5])
BAND, THRESHOLD = Band(0.4, 0.6), 0.5


def worth(prevalence: float | None) -> tuple[float, float]:
    found = predictive_values(Y, P, BAND, THRESHOLD, unit_weights(12), prevalence)
    return found["ppv"][0], found["npv"][0]


def test_here_it_is_what_counting_gives() -> None:
    assert worth(None) == pytest.approx((6 / 7, 2 / 3))
    assert worth(8 / 12) == pytest.approx((6 / 7, 2 / 3))


def test_elsewhere_it_is_bayes() -> None:
    # Of 100 scans ten are sick: 7.5 of them are called pneumonia and 1.25 normal; of 90 well ones 22.5 and 45.
    assert worth(0.1) == pytest.approx((7.5 / 30, 45 / 46.25))


def test_where_nobody_is_sick_a_call_of_pneumonia_is_worth_nothing() -> None:
    assert worth(0.0) == (0, 1)


def test_where_nothing_is_called_so_there_is_no_value() -> None:
    found = predictive_values(Y, np.full(12, 0.1), Band.none(0.5), 0.5, unit_weights(12))
    assert np.isnan(found["ppv"][0])
    assert found["npv"][0] == pytest.approx(4 / 12)


def test_each_draw_has_its_own_share_of_pneumonia() -> None:
    weights = np.stack([np.ones(12), np.where(Y, 1, 3)])
    found = predictive_values(Y, P, BAND, THRESHOLD, weights)
    assert found["ppv"] == pytest.approx([6 / 7, 6 / 9])


def test_a_share_out_of_bounds_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"within 0 to 1\. Received: prevalence=1\.5"):
        worth(1.5)
