"""The figures of drift, by hand and by chance, and when they raise the alarm."""

import numpy as np
import pandas as pd
import pytest

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.drift.reference import Reference
from xray.evaluation.drift.statistics import EMPTY, drift, shift, stability_index

SETTINGS = config.Drift()


def normal(seed: int, scans: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, scans)


def test_the_stability_index_by_hand() -> None:
    then = np.arange(100.0)
    now = np.concatenate([np.arange(50.0), np.arange(50.0)])
    # Shares were 0.1 in each of ten bins; now they are 0.2 in five of them and EMPTY in the other five.
    by_hand = 5 * 0.1 * np.log(2) + 5 * (EMPTY - 0.1) * np.log(EMPTY / 0.1)
    assert stability_index(then, now) == pytest.approx(by_hand)
    assert stability_index(then, then) == 0


@pytest.mark.parametrize("value", [100.0, 300.0])
def test_a_constant_that_changes_is_seen_whichever_way(value: float) -> None:
    then = np.full(500, 224.0)
    assert stability_index(then, np.full(200, 224.0)) == 0
    assert stability_index(then, np.full(200, value)) > 10


def test_chance_alone_raises_no_alarm_with_as_many_scans_as_are_needed() -> None:
    then = normal(0, 4000)
    found = [shift(then, normal(seed, SETTINGS.least_scans), SETTINGS) for seed in range(1, 200)]
    assert not any(each.alarm for each in found)
    expected = 9 * (1 / 4000 + 1 / SETTINGS.least_scans)
    assert np.mean([each.psi for each in found]) == pytest.approx(expected, rel=0.2)


def test_a_shift_raises_the_alarm_and_says_how_far() -> None:
    found = shift(normal(0, 4000), normal(1, 400, mean=0.8), SETTINGS)
    assert found.alarm
    assert found.median_shift == pytest.approx(0.8, abs=0.15)
    assert found.ks > 0.25
    assert found.p_value < 1e-9


def test_too_few_scans_are_compared_and_raise_nothing() -> None:
    found = shift(normal(0, 4000), normal(1, SETTINGS.least_scans - 1, mean=3), SETTINGS)
    assert found.alarm is None
    assert found.psi > 1


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(EvaluationError, match="values must be numbers"):
        shift(np.array([1.0]), np.array([np.nan]), SETTINGS)


@pytest.fixture
def reference() -> Reference:
    splits = np.repeat(["train", "validation", "test"], [600, 200, 200])
    rows = pd.DataFrame({"split": splits, "brightness": normal(2, 1000, 100)})
    rows["p_pneumonia"] = np.where(splits == "train", np.nan, np.random.default_rng(3).uniform(size=1000))
    rows.loc[rows["split"] == "test", "brightness"] += 2
    return Reference(rows, config.Images(), "0123")


def test_looks_are_compared_with_training_scores_with_validation_and_test_is_the_control(reference: Reference) -> None:
    scans = pd.DataFrame({"brightness": normal(4, 300, 100), "p_pneumonia": np.random.default_rng(5).uniform(size=300)})
    found = drift(reference, scans, SETTINGS)
    assert list(found.current) == ["brightness", "p_pneumonia"]
    assert found.current["brightness"].reference_scans == 600
    assert found.current["p_pneumonia"].reference_scans == 200
    assert found.alarms == []
    assert found.control["brightness"].alarm, "TEST scans are two standard deviations brighter"
    assert found.flat()["control.brightness.psi"] == found.control["brightness"].psi
    assert [row["drift"] for row in found.rows()] == ["no", "no"]


def test_a_scan_that_is_gone_is_left_out(reference: Reference) -> None:
    scans = pd.DataFrame({"brightness": [np.nan, *normal(4, 200, 100)], "p_pneumonia": np.full(201, 0.5)})
    assert drift(reference, scans, SETTINGS).current["brightness"].scans == 200
