"""What a rule promises on validation, and what TEST says to it."""

from typing import Any

import pytest

from xray import config
from xray.evaluation.decision.operating_targets import OperatingTarget, operating_targets
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.metrics.bootstrap import Estimate


def promise(value: float, low: float | None, high: float | None, at_most: bool = True) -> OperatingTarget:
    return OperatingTarget("at most 2.0% are wrong", 0.02, at_most, 0.018, Estimate(value, low, high))


@pytest.mark.parametrize(
    ("found", "kept", "words"),
    [
        (promise(0.273, 0.17, 0.39), False, "on TEST it is 27.3% (17.0 to 39.0%): missed"),
        (promise(0.04, 0.01, 0.08), False, "missed, but within the uncertainty"),
        (promise(0.01, 0.0, 0.04), True, "reached, but within the uncertainty"),
        (promise(0.01, 0.005, 0.02), True, "on TEST it is 1.0% (0.5 to 2.0%): kept"),
        (promise(0.0, None, None), True, "0.0% (no interval): reached, but there are too few scans for an interval"),
        (promise(0.3, None, None), False, "30.0% (no interval): missed"),
        (promise(0.3, 0.2, 0.4, at_most=False), True, "(20.0 to 40.0%): kept"),
        (promise(0.01, 0.005, 0.019, at_most=False), False, "(0.5 to 1.9%): missed"),
    ],
)
def test_test_says_whether_it_is_kept(found: OperatingTarget, kept: bool, words: str) -> None:
    assert found.kept is kept
    assert words in str(found)
    assert str(found).startswith("chosen so that on validation scans at most 2.0% are wrong (there: 1.8%)")


def test_where_test_has_no_such_scan_nothing_is_said_to_be_kept() -> None:
    found = OperatingTarget("at most 2.0% are wrong", 0.02, True, None, None)
    assert found.kept is None
    assert str(found).endswith("on TEST there is no such scan")


def report(reading: DecisionRule, **metrics: float) -> dict[str, Any]:
    positive, well = {"pneumonia": 70, "normal": 1, "refer": 9}, {"pneumonia": 0, "normal": 29, "refer": 5}
    outcomes = {"validation": {"pneumonia": positive, "normal": well}}
    return {"reading": reading.to_dict(), "metrics": metrics, "outcomes": outcomes}


def test_the_band_promises_few_errors_and_a_bounded_threshold_what_it_is_bounded_by() -> None:
    given = report(
        DecisionRule(0.5, 0.4, 0.6),
        **{"test.error_decided": 0.1, "validation.sensitivity": 0.96, "test.sensitivity": 0.9},
    )
    first, second = operating_targets(given, config.Evaluation(threshold="sensitivity>=0.95", most_error=0.02))
    assert (first.bound, first.at_most, first.validation, first.kept) == (0.95, False, 0.96, False)
    assert (second.bound, second.at_most, second.validation, second.kept) == (0.02, True, 1 / 100, False)


def test_where_nothing_is_referred_and_no_bound_is_named_nothing_is_promised() -> None:
    assert operating_targets(report(DecisionRule.at(0.5)), config.Evaluation(threshold="youden")) == []
