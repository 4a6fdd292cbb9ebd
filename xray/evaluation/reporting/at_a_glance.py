"""The top of the report: results on TEST, and reasons to doubt them."""

from collections.abc import Mapping
from typing import Any

from xray import config
from xray.evaluation.decision.operating_targets import operating_targets
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.metrics.bootstrap import Estimate, estimate_of
from xray.evaluation.reporting.page import Headline, Point
from xray.labels import NORMAL, REFER

CARDS = {
    "sensitivity": ("Sensitivity", "of the {finding} scans are called {finding}, if every scan is decided"),
    "specificity": ("Specificity", "of the normal scans are called normal, if every scan is decided"),
    "referred": ("Referred", "of the scans are referred to a person"),
    "error_decided": ("Wrong", "of the decided scans are wrong"),
    "ppv": ("PPV", "of the {called} scans called {finding} are {finding}"),
    "npv": ("NPV", "of the {cleared} scans called normal are normal"),
    "auc": ("AUC", "probability that {finding} scores above normal; 0.5 is guessing"),
    "calibration_error": ("Calibration error", "average difference of score and actual share; 0 is best"),
}
"""Figures on TEST that stand on top of the page, with their names and what each says."""

PROMISE = "Target"
RARE = 0.1
"""The share of the finding that a reader is told of beside TEST's own; one of `predictive_values.PREVALENCES`."""

NUMBERS = ("auc", "calibration_error")
"""Those of them that are no share of scans."""


def headlines(report: Mapping[str, Any]) -> list[Headline]:
    """Write the figures of `CARDS`, those that there are.

    Args:
        report: What `evaluate.Evaluated.report` gives.
    """
    metrics, cards = report["metrics"], []
    found_by = Outcomes(report["outcomes"]["test"])
    called, cleared = (f"{sum(row[decision] for row in found_by.counts.values()):,}" for decision in found_by.labels)
    for name, (title, meaning) in CARDS.items():
        found = estimate_of(metrics, f"test.{name}")
        if found is None:
            continue
        said = meaning.format(called=called, cleared=cleared, finding=found_by.finding)
        if name in NUMBERS:
            between = "no interval" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"
            cards.append(Headline(title, f"{found.value:.3f}", between, said))
        else:
            cards.append(Headline(title, f"{found.value:.1%}", found.between(), said))
    return cards


def answers(report: Mapping[str, Any]) -> str:
    """Describe the outcome of the TEST scans in a sentence.

    Args:
        report: What `evaluate.Evaluated.report` gives.
    """
    found = Outcomes(report["outcomes"]["test"])
    decided = f"{found.right:,} are right and {found.wrong:,} wrong" if found.decided else "none is decided"
    return (
        f"Of {found.scans:,} TEST scans, which were not used for training, {decided}; {found.referred:,} are "
        "referred to a person."
    )


def points(
    report: Mapping[str, Any], weak: Mapping[str, str], evaluation: config.Evaluation, looked: str
) -> list[Point]:
    """List the reasons to doubt the metrics, and whether TEST reaches the rules' targets.

    Args:
        report: What `evaluate.Evaluated.report` gives.
        weak: What `weak_points.weak_points` gave, or nothing.
        evaluation: Names the rules.
        looked: How often the TEST scans were looked at, a sentence; "" where it is the first look.
    """
    metrics, outcomes = report["metrics"], Outcomes(report["outcomes"]["test"])
    kept = [
        Point(f"{PROMISE} missed" if each.kept is False else PROMISE, sentence(str(each)), each.kept is False)
        for each in operating_targets(report, evaluation)
    ]
    found = {
        "Normal scans": _alarms(metrics, outcomes),
        **{topic: sentence(words) for topic, words in weak.items()},
        f"If {outcomes.finding} is rarer": _rarer(metrics, report["elsewhere"], outcomes.finding),
        "Scores": _scores(metrics, outcomes.finding),
        "Few scans": _uncertainty(metrics, outcomes),
        "Repeated test-set evaluation": looked,
    }
    spoken_against = [Point(*each, True) for each in found.items() if each[1]]
    return sorted([*kept, *spoken_against], key=lambda point: (not point.weak, not point.topic.startswith(PROMISE)))


def _alarms(metrics: Mapping[str, float], found: Outcomes) -> str:
    specificity = estimate_of(metrics, "test.specificity")
    if specificity is None:
        return ""
    low, high = (None if end is None else 1 - end for end in (specificity.high, specificity.low))
    alarms = Estimate(1 - specificity.value, low, high)
    row, finding = found.counts[NORMAL], found.finding
    called = f"{row[finding]:,} of {found.of_label(NORMAL):,} are called {finding} and {row[REFER]:,} are referred"
    return f"{called}; if every scan were decided, {alarms.percent()} would be called {finding}."


def _rarer(metrics: Mapping[str, float], elsewhere: Mapping[str, float], finding: str) -> str:
    """Give the PPV at a prevalence of a tenth, unless TEST's is lower."""
    there, here = estimate_of(elsewhere, f"test.ppv_where_{RARE}"), estimate_of(metrics, "test.ppv")
    if there is None or here is None or metrics["test.prevalence"] <= RARE:
        return ""
    if there.value >= here.value:  # where no call of the finding was wrong, nothing is known of another share
        return ""
    return (
        f"{metrics['test.prevalence']:.1%} of TEST is {finding}. At a prevalence of {RARE:.0%} the PPV would be "
        f"{there.percent()}, not {here.value:.1%}."
    )


def _scores(metrics: Mapping[str, float], finding: str) -> str:
    found = estimate_of(metrics, "test.calibration_error")
    if found is None:
        return ""
    ends = "" if found.low is None or found.high is None else f" ({100 * found.low:.1f} to {100 * found.high:.1f})"
    return (
        f"A score is not exact: on average it is {100 * found.value:.1f}{ends} percentage points off the share of "
        f"such scans that is {finding}."
    )


def _uncertainty(metrics: Mapping[str, float], found: Outcomes) -> str:
    scans = f"{found.of_label(found.finding):,} {found.finding} and {found.of_label(NORMAL):,} normal scans"
    widths = []
    for name in ("sensitivity", "specificity"):
        each = estimate_of(metrics, f"test.{name}")
        if each is not None and each.low is not None and each.high is not None and each.high > each.low:
            widths.append(f"{name} ±{50 * (each.high - each.low):.1f} points")
    known = f"Their uncertainty: {' and '.join(widths)}; smaller differences mean nothing." if widths else ""
    patients = f"{int(metrics['test.patients']):,} patients"
    return f"TEST has {scans} of {patients}. {known}".strip()


def sentence(words: str) -> str:
    """Begin words with a capital letter, and end them with a full stop."""
    return f"{words[:1].upper()}{words[1:]}."
