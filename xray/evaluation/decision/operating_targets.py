"""The targets of the decision rules on validation scans, and whether TEST reaches them.

A rule chooses threshold and band so that validation scans do what it asks for. TEST had no say in it, so it shows what
the promise is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xray import config
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.metrics.bootstrap import Estimate, estimate_of

OF_LABEL = {"sensitivity": "{finding} scans are called {finding}", "specificity": "normal scans are called normal"}


@dataclass(frozen=True)
class OperatingTarget:
    """A rule's target on validation scans, and the result on TEST.

    Attributes:
        asked: In words, such as "at most 2.0% of the decided scans are wrong".
        bound: What was asked for, 0 to 1.
        at_most: Whether the bound is an upper one.
        validation: What validation scans show, 0 to 1; None where there is nothing to measure.
        test: What TEST shows.
    """

    asked: str
    bound: float
    at_most: bool
    validation: float | None
    test: Estimate | None

    @property
    def kept(self) -> bool | None:
        """Whether TEST reaches it; None if it cannot be measured."""
        return None if self.test is None else self._within(self.test.value)

    def __str__(self) -> str:
        """Write the target, the results on validation and TEST, and whether it was reached."""
        first = f"chosen so that on validation scans {self.asked}"
        first += "" if self.validation is None else f" (there: {self.validation:.1%})"
        if self.test is None:
            return f"{first}; on TEST there is no such scan"
        return f"{first}; on TEST it is {self.test.percent()}: {self._verdict(self.test)}"

    def _verdict(self, found: Estimate) -> str:
        nearer, farther = (found.low, found.high) if self.at_most else (found.high, found.low)
        if self.kept:
            if farther is None:
                return "reached, but there are too few scans for an interval"
            return "kept" if self._within(farther) else "reached, but within the uncertainty: see the interval"
        if nearer is None or self._within(nearer):
            return "missed, but within the uncertainty: see the interval"
        return "missed"

    def _within(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


def operating_targets(report: Mapping[str, Any], evaluation: config.Evaluation) -> list[OperatingTarget]:
    """List what the rules promise.

    Args:
        report: What `evaluate.Evaluated.report` gives.
        evaluation: Names the rules.
    """
    metrics, reading = report["metrics"], DecisionRule.from_dict(report["reading"])
    found = []
    figure, _, bound = evaluation.threshold.partition(">=")
    if bound:
        of_label = OF_LABEL[figure].format(finding=reading.finding)
        asked = f"at least {float(bound):.1%} of the {of_label}, if every scan is decided"
        validation, test = metrics.get(f"validation.{figure}"), estimate_of(metrics, f"test.{figure}")
        found.append(OperatingTarget(asked, float(bound), False, validation, test))
    if reading.low < reading.high:
        held = Outcomes(report["outcomes"]["validation"])
        asked = f"at most {evaluation.most_error:.1%} of the decided scans are wrong"
        validation = held.wrong / held.decided if held.decided else None
        found.append(
            OperatingTarget(asked, evaluation.most_error, True, validation, estimate_of(metrics, "test.error_decided"))
        )
    return found
