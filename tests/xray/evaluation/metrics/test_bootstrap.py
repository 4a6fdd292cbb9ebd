"""The bootstrap: drawn over patients, by seed, honest about what it leaves out."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap

Weights = NDArray[np.float64]


def share(values: NDArray[np.float64]) -> Callable[[Weights], dict[str, Weights]]:
    return lambda weights: {"share": weights @ values / weights.sum(axis=1)}


def estimate(values: NDArray[np.float64], patients: list[str], seed: int = 0, draws: int = 1000) -> Estimate:
    found = bootstrap(share(values), patients, seed, draws)["share"]
    assert found is not None
    return found


def width(found: Estimate) -> float:
    assert found.low is not None and found.high is not None
    return found.high - found.low


def people(count: int) -> list[str]:
    return [f"person{number:04d}" for number in range(count)]


RIGHT = (np.random.default_rng(7).random(80) < 0.8).astype(np.float64)


def test_the_value_is_the_figure_on_the_scans_as_they_are() -> None:
    assert estimate(RIGHT, people(80)).value == pytest.approx(RIGHT.mean())


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    assert estimate(RIGHT, people(80), seed=3) == estimate(RIGHT, people(80), seed=3)
    assert estimate(RIGHT, people(80), seed=3) != estimate(RIGHT, people(80), seed=4)


def test_the_order_of_the_scans_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(80)
    patients = people(80)
    shuffled = estimate(RIGHT[order], [patients[place] for place in order])
    assert vars(shuffled) == pytest.approx(vars(estimate(RIGHT, patients)))


def test_of_patients_with_one_scan_each_the_interval_is_scipys() -> None:
    values = np.random.default_rng(3).beta(2, 1, 300)
    found = estimate(values, people(300), draws=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=0.0015)
    assert found.high == pytest.approx(theirs.high, abs=0.0015)


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    # 1.96 standard errors of a share, either side
    expected = 2 * 1.96 * np.sqrt(RIGHT.mean() * (1 - RIGHT.mean()) / 80)
    assert width(estimate(RIGHT, people(80), draws=4000)) == pytest.approx(expected, rel=0.08)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        patients = [f"person{number}" for number in np.repeat(np.arange(60), 3)]
        ability = np.repeat(generator.beta(4, 1, size=60), 3)  # a patient's scans are alike; on average 0.8
        found = estimate((generator.random(180) < ability).astype(np.float64), patients, seed=trial, draws=300)
        covered += bool(found.low is not None and found.high is not None and found.low <= 0.8 <= found.high)
    assert 0.90 <= covered / 200 <= 0.99


def test_grouping_by_patient_widens_the_interval_where_a_patients_scans_agree() -> None:
    four_each = np.repeat(RIGHT, 4)
    grouped = estimate(four_each, [patient for patient in people(80) for _ in range(4)])
    apart = estimate(four_each, people(320))
    # Four times the scans, but no more patients: the width stays, where scans alone would halve it.
    assert width(grouped) == pytest.approx(2 * width(apart), rel=0.15)
    assert width(grouped) == pytest.approx(width(estimate(RIGHT, people(80))))


def test_a_patient_brings_all_scans_and_each_draw_has_as_many_patients() -> None:
    seen: list[Weights] = []

    def statistics(weights: Weights) -> dict[str, Weights]:
        seen.append(weights)
        return {"sum": weights.sum(axis=1)}

    bootstrap(statistics, ["b", "a", "b", "c"], seed=0, draws=600)
    unit, drawn = seen[0], np.concatenate(seen[1:])
    assert unit.tolist() == [[1, 1, 1, 1]]
    assert drawn.shape == (600, 4)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()


def needs(mask: NDArray[np.bool_], values: NDArray[np.float64]) -> Callable[[Weights], dict[str, Weights]]:
    """Average over the masked scans, undefined in a draw without one."""

    def statistics(weights: Weights) -> dict[str, Weights]:
        whole = weights @ mask
        return {"figure": np.divide(weights @ (mask * values), whole, out=np.full_like(whole, np.nan), where=whole > 0)}

    return statistics


def test_undefined_draws_are_left_out_and_counted() -> None:
    mask, values = np.arange(40) < 3, np.linspace(0, 1, 40)
    found = bootstrap(needs(mask, values), people(40), seed=0, draws=2000)["figure"]
    assert found is not None and found.low is not None
    # All three patients are missing from (37/40)^40 = 4.4 % of the draws.
    assert found.left_out == pytest.approx(2000 * (37 / 40) ** 40, rel=0.3)


def test_a_figure_that_rests_on_one_patient_has_no_interval() -> None:
    found = bootstrap(needs(np.arange(40) < 1, np.ones(40)), people(40), seed=0, draws=500)["figure"]
    assert found is not None
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert str(found) == "1.000 (no interval)"
    assert estimate(RIGHT, ["one patient"] * 80).low is None


def test_a_figure_that_the_scans_leave_undefined_is_none() -> None:
    assert bootstrap(needs(np.zeros(5, dtype=bool), np.ones(5)), people(5), seed=0, draws=100) == {"figure": None}


@pytest.mark.parametrize(("patients", "draws"), [([], 100), (["a"], 0)])
def test_no_scans_and_no_draws_are_refused(patients: list[str], draws: int) -> None:
    with pytest.raises(EvaluationError, match="at least one scan and one draw"):
        bootstrap(share(np.ones(len(patients))), patients, 0, draws)
