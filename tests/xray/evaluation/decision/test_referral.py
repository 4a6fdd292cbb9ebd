"""Bands of referred scores against values by hand and against every band there is."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.decision.referral import Band, band_figures, choose_band, confidence, coverage_curve
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import bootstrap

# At 0.5 the normal scan of 0.7 is a false alarm, and the pneumonia of 0.3 is missed.
P = np.array([0.95, 0.85, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1])
Y = np.array([True, True, False, True, False, True, False, False])

Scans = tuple[NDArray[np.bool_], NDArray[np.float64]]


@st.composite
def scans(draw: st.DrawFn) -> Scans:
    """Scans of both labels, with many equal scores, 0 and 1 among them."""
    scores = st.integers(0, 12).map(lambda twelfth: twelfth / 12)
    rows = draw(st.lists(st.tuples(st.booleans(), scores), max_size=25))
    rows += [(True, draw(scores)), (False, draw(scores))]
    y, p = zip(*rows, strict=True)
    return np.array(y), np.array(p)


def evaluated(y: NDArray[np.bool_], p: NDArray[np.float64], low: float, high: float) -> tuple[int, int]:
    """Count the scans that a band leaves to the model, and the errors among them."""
    normal, positive = p < low, p >= high
    return int((normal | positive).sum()), int((normal & y).sum() + (positive & ~y).sum())


def best_of_all(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, most_error: float) -> Band | None:
    """Try every pair of ends one by one."""
    scores = sorted(set(p))
    cuts = [0.0, 1.0, threshold, *((low + high) / 2 for low, high in pairwise(scores))]
    found = []
    for low, high in product(cuts, cuts):
        decided, wrong = evaluated(y, p, low, high)
        if low <= threshold <= high and decided and wrong / decided <= most_error:
            found.append((-decided, wrong, round(high - low, 12), low, high))
    return Band(*min(found)[3:]) if found else None


def test_scores_in_the_band_are_referred_its_lower_end_included() -> None:
    band = Band(0.3, 0.7)
    assert band.referred(P).tolist() == [False, False, False, True, True, True, False, False]
    assert not Band.none(0.3).referred(P).any()


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (np.nan, 0.5)])
def test_a_band_that_is_none_is_refused(low: float, high: float) -> None:
    with pytest.raises(EvaluationError, match="0 <= low <= high <= 1"):
        Band(low, high)


@pytest.mark.parametrize(
    ("most_error", "low", "high"),
    [
        # Two of eight are wrong at 0.5.
        (0.25, 0.5, 0.5),
        # 1 of 6 without 0.6 and 0.7, or without 0.3 and 0.4: as many scans and errors, the narrower is taken.
        (0.2, 0.25, 0.5),
        # Without errors only 0.95, 0.85 and 0.2, 0.1 can be decided.
        (0.0, 0.25, 0.775),
    ],
)
def test_bands_by_hand(most_error: float, low: float, high: float) -> None:
    found = choose_band(Y, P, 0.5, most_error)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_threshold_that_keeps_to_the_bound_refers_nothing() -> None:
    assert choose_band(Y, P, 0.43, 0.25) == Band.none(0.43)


def test_a_side_on_which_every_cut_errs_is_referred_whole() -> None:
    # The surest normal call is wrong, so no scan can be called normal.
    y, p = np.array([False, True, True, True]), np.array([0.5, 0.1, 0.8, 0.9])
    assert choose_band(y, p, 0.6, 0.0) == Band(0.0, 0.6)
    assert choose_band(~y, 1 - p, 0.4, 0.0) == Band(0.4, 1.0)


def test_29_errors_of_100_are_within_0_29() -> None:
    # 0.29 * 100 is 28.999… in floating point.
    y, p = np.arange(100) >= 29, np.full(100, 0.9)
    assert choose_band(y, p, 0.5, 0.29) == Band.none(0.5)


ONE_WIDTH = (
    np.array([False, True, True, False, False, True, False]),
    np.array([0, 1, 8, 5, 11, 8, 10]) / 12,
)
"""Two bands of a quarter decide as many scans, with as many errors; the last bit alone makes the upper one narrower."""


@example(ONE_WIDTH, 7 / 24, 0.5)
@settings(max_examples=300, deadline=None)
@given(scans(), st.integers(0, 24).map(lambda part: part / 24), st.sampled_from([0.0, 0.05, 0.1, 0.2, 1 / 3, 0.5]))
def test_no_band_is_better_than_the_chosen_one(both: Scans, threshold: float, most_error: float) -> None:
    y, p = both
    best = best_of_all(y, p, threshold, most_error)
    if best is None:
        with pytest.raises(EvaluationError, match=r"^evaluation\.most_error must be reachable with these scores\. Rec"):
            choose_band(y, p, threshold, most_error)
        return
    found = choose_band(y, p, threshold, most_error)
    assert evaluated(y, p, found.low, found.high) == evaluated(y, p, best.low, best.high)
    assert (found.low, found.high) == pytest.approx((best.low, best.high))


def test_of_bands_that_decide_as_many_scans_the_one_with_fewer_errors_is_taken_though_it_is_wider() -> None:
    # 2 of 8 are wrong without the four scans of 0.6, 3 of 8 without those of 0.4, and 5 of 12 with both.
    p = np.repeat([0.1, 0.4, 0.6, 1.0], [2, 4, 4, 2])
    y = np.repeat([False, True, False, True, False, True], [2, 2, 2, 1, 3, 2])
    assert choose_band(y, p, 0.5, 0.4) == Band(0.5, 0.8)


def test_five_thousand_scans_are_searched_whole() -> None:
    # All that is called normal is, so the best lower end is the last one that is tried: the threshold.
    p = np.linspace(0, 1, 5000)
    y = p > 0.6
    found = choose_band(y, p, 0.5, 0.0)
    assert (found.low, found.high) == pytest.approx((0.5, 0.6), abs=2e-4)
    # And the other way round.
    found = choose_band(~y[::-1], p, 0.5, 0.0)
    assert (found.low, found.high) == pytest.approx((0.4, 0.5), abs=2e-4)


def test_a_large_band_is_as_good_as_a_search_one_end_at_a_time_finds() -> None:
    generator = np.random.default_rng(0)
    y = generator.random(1500) < 0.6
    p = 1 / (1 + np.exp(-generator.normal(np.where(y, 1.5, -1.5), 1.3)))
    found = choose_band(y, p, 0.5, 0.02)
    highs = np.append(p[p >= 0.5], [0.5, 1.0])
    positive = np.array([(p >= high).sum() for high in highs])
    alarms = np.array([(~y & (p >= high)).sum() for high in highs])
    most = 0
    for low in (*p[p < 0.5], 0.5):
        decided, wrong = positive + (p < low).sum(), alarms + (y & (p < low)).sum()
        most = max(most, int(decided[wrong <= 0.02 * decided].max(initial=0)))
    decided_by_band, wrong_by_band = evaluated(y, p, found.low, found.high)
    assert decided_by_band == most
    assert wrong_by_band / decided_by_band <= 0.02


@pytest.mark.parametrize("most_error", [-0.1, 1.1, np.nan])
def test_a_bound_that_is_no_share_is_refused(most_error: float) -> None:
    with pytest.raises(EvaluationError, match=r"evaluation\.most_error must be within 0 to 1"):
        choose_band(Y, P, 0.5, most_error)


def test_sureness_is_the_way_past_the_threshold_as_a_share_of_what_was_possible() -> None:
    found = confidence(np.array([0.0, 0.2, 0.8, 0.9, 1.0]), 0.8)
    assert found == pytest.approx([1, 0.75, 0, 0.5, 1])
    assert np.isfinite(confidence(P, 0.0)).all() and np.isfinite(confidence(P, 1.0)).all()


def test_the_coverage_curve_by_hand() -> None:
    # Past 0.5 by 1, 3/4, 1/2 and 1/4 of the way, two scans each; both of 1/2, 0.75 and 0.25, are wrong.
    p, threshold = np.array([1.0, 0.875, 0.75, 0.625, 0.375, 0.25, 0.125, 0.0]), 0.5
    found = coverage_curve(Y, p, threshold)
    assert found.coverage == pytest.approx([2 / 8, 4 / 8, 6 / 8, 8 / 8])
    assert found.error == pytest.approx([0, 0, 2 / 6, 2 / 8])


@settings(max_examples=60, deadline=None)
@given(scans(), st.integers(0, 24).map(lambda part: part / 24))
def test_the_coverage_curve_ends_with_all_scans_and_counts_what_is_surer(both: Scans, threshold: float) -> None:
    y, p = both
    found, sure = coverage_curve(y, p, threshold), confidence(p, threshold)
    accuracy = metrics.compute_metrics(y, p, threshold)["accuracy"]
    assert (found.coverage[-1], found.error[-1]) == pytest.approx((1, 1 - accuracy))
    levels = sorted(set(sure), reverse=True)
    assert found.coverage == pytest.approx([(sure >= level).mean() for level in levels])
    wrong = (p >= threshold) != y
    assert found.error == pytest.approx([wrong[sure >= level].mean() for level in levels])


def test_figures_of_a_band_by_hand() -> None:
    # Referred: 0.4 and 0.3. Left: 0.95, 0.85, 0.6 found, 0.7 a false alarm, 0.2 and 0.1 rightly normal.
    found = band_figures(Y, P, Band(0.25, 0.5), 0.5, metrics.unit_weights(8))
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {"referred": 2 / 8, "error_decided": 1 / 6, "sensitivity_decided": 1.0, "specificity_decided": 2 / 3}
    )


def test_a_weight_counts_like_a_repeated_row() -> None:
    counts = np.array([1, 2, 0, 3, 1, 1, 2, 4])
    weighted = band_figures(Y, P, Band(0.25, 0.5), 0.5, counts[None, :].astype(np.float64))
    again = band_figures(
        np.repeat(Y, counts), np.repeat(P, counts), Band(0.25, 0.5), 0.5, metrics.unit_weights(counts.sum())
    )
    assert {name: values[0] for name, values in weighted.items()} == pytest.approx(
        {name: values[0] for name, values in again.items()}
    )


def test_without_a_band_the_figures_are_those_of_the_threshold() -> None:
    found = band_figures(Y, P, Band.none(0.5), 0.5, metrics.unit_weights(8))
    expected = metrics.compute_metrics(Y, P, 0.5)
    assert found["referred"][0] == 0
    assert found["error_decided"][0] == pytest.approx(1 - expected["accuracy"])
    assert found["sensitivity_decided"][0] == expected["sensitivity"]
    assert found["specificity_decided"][0] == expected["specificity"]


def test_a_band_that_refers_everything_has_no_other_figure() -> None:
    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return band_figures(Y, P, Band(0.0, 1.0), 0.5, weights)

    found = bootstrap(statistics, [f"person{number}" for number in range(8)], seed=0, draws=100)
    assert found.pop("referred") is not None
    assert set(found.values()) == {None}


def test_a_threshold_outside_its_band_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"within the band\. Received: threshold=0\.8"):
        band_figures(Y, P, Band(0.25, 0.5), 0.8, metrics.unit_weights(8))
