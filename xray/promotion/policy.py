"""The written policy of promotion, applied to figures: floors for the challenger, a margin against the champion."""

from dataclasses import dataclass

from xray import config
from xray.evaluation.metrics.bootstrap import Estimate
from xray.evaluation.metrics.paired_comparison import Comparison
from xray.evaluation.metrics.split_metrics import Evaluation


@dataclass(frozen=True)
class Check:
    """One rule of the policy, and what came.

    Attributes:
        rule: What must hold, in words.
        seen: The figure with its 95 % interval, in words.
        held: Whether it holds.
    """

    rule: str
    seen: str
    held: bool

    def __str__(self) -> str:
        """Write it as a requirement, then what came."""
        return f"{self.rule}. Received: {self.seen}"


def check_all(
    challenger: Evaluation, comparison: Comparison | None, policy: config.Promotion, marked: bool | None = None
) -> list[Check]:
    """Check a challenger's metrics against the policy; it passes if every check passes.

    Floors are held against the figure itself, the margin against the lower end of the interval of
    (challenger - champion): a figure that leaves no interval does not pass.

    Args:
        challenger: The challenger on the scans that judge.
        comparison: Champion first, challenger second, on the same scans; None where no champion yet, and
            the floors alone decide.
        policy: Floors and margin.
        marked: Whether the challenger scores nearly as well without lungs; None where nobody looked.
    """
    margins = [] if comparison is None else _margins(comparison, policy)
    return [*_floors(challenger, policy), *margins, *([_lungs(marked)] if policy.refuse_marked else ())]


def _floors(challenger: Evaluation, policy: config.Promotion) -> list[Check]:
    estimates = {**challenger.ranking, **challenger.chosen.figures}
    rules = (
        ("sensitivity", "at least", policy.min_sensitivity),
        ("specificity", "at least", policy.min_specificity),
        ("calibration_error", "at most", policy.max_calibration_error),
    )
    return [_floor(name, words, bound, estimates[name]) for name, words, bound in rules]


def _floor(name: str, words: str, bound: float, estimate: Estimate) -> Check:
    held = estimate.value >= bound if words == "at least" else estimate.value <= bound
    return Check(f"{_spoken(name)} must be {words} {bound:g}", str(estimate), held)


def _margins(comparison: Comparison, policy: config.Promotion) -> list[Check]:
    return [_margin(name, comparison, margin) for name, margin in policy.margins.items()]


def _margin(name: str, comparison: Comparison, margin: float) -> Check:
    rule = f"loss of {_spoken(name)} against the champion must be below {margin:g} at 95 %"
    found = comparison.differences.get(name)
    if found is None:
        return Check(rule, "not defined on these scans", held=False)
    low = found.difference.low
    return Check(rule, _signed(found.difference), low is not None and low > -margin)


def _lungs(marked: bool | None) -> Check:
    seen = {None: "not tested", True: "not shown", False: "shown"}[marked]
    return Check("the model must be shown to need the lungs", seen, held=marked is False)


def _signed(estimate: Estimate) -> str:
    interval = "no interval" if estimate.low is None else f"{estimate.low:+.3f} to {estimate.high:+.3f}"
    return f"{estimate.value:+.3f} ({interval})"


def _spoken(name: str) -> str:
    return name.replace("_", " ")
