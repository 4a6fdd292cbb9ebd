"""Another share of sick scans: Bayes by hand, and expectation maximisation by hand and against the likelihood."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from xray.errors import EvaluationError
from xray.evaluation.decision.prior_shift import adjust_prior, estimate

shares = st.floats(0.01, 0.99)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


def drawn(scans: int, prevalence: float, prior: float, seed: int) -> NDArray[np.float64]:
    """Scores of new scans by a model that is calibrated for `prior`: a normal variable with mean 1 or -1."""
    generator = np.random.default_rng(seed)
    positive = generator.random(scans) < prevalence
    seen = generator.normal(np.where(positive, 1.0, -1.0))
    odds = np.exp(2 * seen) * prior / (1 - prior)  # the ratio of both densities is exp(2 x)
    return odds / (1 + odds)


def test_bayes_by_hand() -> None:
    # Odds of 3 at a prior of 3/4 say nothing either way: the odds at any prevalence are that prevalence's own.
    # Odds of 1 at 3/4 count three to one against: at 1/2 they are 1/3, at 1/5 they are 1/12.
    p = np.array([0.75, 0.5])
    assert adjust_prior(p, 0.75, 0.5) == pytest.approx([1 / 2, 1 / 4])
    assert adjust_prior(p, 0.75, 0.2) == pytest.approx([1 / 5, 1 / 13])


@settings(max_examples=60, deadline=None)
@given(scores, shares, shares)
def test_odds_change_by_the_ratio_of_the_odds_of_both_shares(
    p: NDArray[np.float64], prior: float, prevalence: float
) -> None:
    found = adjust_prior(p, prior, prevalence)
    ratio = prevalence / (1 - prevalence) / (prior / (1 - prior))
    assert found * (1 - p) == pytest.approx((1 - found) * p * ratio, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(scores, shares)
def test_the_same_share_changes_nothing_to_the_last_bit(p: NDArray[np.float64], share: float) -> None:
    assert np.array_equal(adjust_prior(p, share, share), p)


@settings(max_examples=60, deadline=None)
@given(scores, shares, shares)
def test_the_order_stays_and_the_way_back_leads_back(p: NDArray[np.float64], prior: float, prevalence: float) -> None:
    there = adjust_prior(np.sort(p), prior, prevalence)
    assert (np.diff(there) >= -1e-12).all()
    assert adjust_prior(there, prevalence, prior) == pytest.approx(np.sort(p), abs=1e-9)


def test_certainty_stays_certain() -> None:
    for prevalence in (0.0, 0.3, 1.0):
        assert adjust_prior(np.array([0.0, 1.0]), 0.75, prevalence).tolist() == [0, 1]
    assert adjust_prior(np.array([0.4]), 0.75, 0.0).tolist() == [0]
    assert adjust_prior(np.array([0.4]), 0.75, 1.0).tolist() == [1]


def test_the_first_steps_of_the_estimate_by_hand() -> None:
    # At the prior of 3/4 the scores stay 3/4 and 1/2: their mean is 5/8. Corrected to 5/8, odds change by
    # (5/3) / 3 = 5/9: from 3 to 5/3 and from 1 to 5/9, which is 5/8 and 5/14, 55/112 in the mean.
    p = np.array([0.75, 0.5])
    assert estimate(p, 0.75, most_steps=1) == pytest.approx(5 / 8)
    assert estimate(p, 0.75, most_steps=2) == pytest.approx(55 / 112)


@pytest.mark.parametrize("prevalence", [0.1, 0.3, 0.625, 0.9])
def test_the_share_of_simulated_scans_is_found_without_labels(prevalence: float) -> None:
    p = drawn(20_000, prevalence, prior=0.746, seed=3)
    assert estimate(p, 0.746) == pytest.approx(prevalence, abs=0.015)
    assert abs(p.mean() - prevalence) > abs(estimate(p, 0.746) - prevalence)


def test_the_estimate_makes_the_scores_likeliest() -> None:
    prior, p = 0.7, drawn(150, 0.4, prior=0.7, seed=5)

    def loss(share: float) -> float:
        return -float(np.log(p * share / prior + (1 - p) * (1 - share) / (1 - prior)).sum())

    likeliest = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
    assert estimate(p, prior) == pytest.approx(likeliest, abs=1e-5)


def test_an_estimate_ends_early_where_the_share_no_longer_moves() -> None:
    p = drawn(500, 0.4, prior=0.7, seed=5)
    rough, fine = estimate(p, 0.7, tolerance=0.05), estimate(p, 0.7)
    assert rough != fine
    assert rough == pytest.approx(fine, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_scans_that_are_all_certain_are_counted(share: float) -> None:
    assert estimate(np.full(10, share), 0.5) == share


@pytest.mark.parametrize(
    ("p", "prior", "prevalence", "message"),
    [
        ([0.5, 1.5], 0.5, 0.5, r"within 0 to 1\. Received: 1\.5 in row 1"),
        ([np.nan], 0.5, 0.5, "Received: nan in row 0"),
        ([0.5], 0.0, 0.5, r"prior must be above 0 and below 1\. Received: prior=0\.0"),
        ([0.5], 1.0, 0.5, "prior must be"),
        ([0.5], 0.5, -0.1, r"prevalence must be within 0 to 1\. Received: prevalence=-0\.1"),
        ([0.5], 0.5, np.nan, "prevalence must be"),
    ],
)
def test_what_cannot_be_corrected_is_refused(p: list[float], prior: float, prevalence: float, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        adjust_prior(np.array(p), prior, prevalence)


def test_no_scans_have_no_prevalence() -> None:
    with pytest.raises(EvaluationError, match="at least one scan"):
        estimate(np.array([]), 0.5)
