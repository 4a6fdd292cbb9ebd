"""Mean and standard deviation of the same figures of several trainings."""

import statistics
from collections.abc import Mapping, Sequence

NOT_AVERAGED = ("_low", "_high", ".draws_left_out")
"""What belongs to one model's bootstrap: a mean of interval ends is the end of no interval."""


def mean_and_sd(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Give each figure's mean under its own name, and its standard deviation with `_sd` added.

    The mean keeps the name so that a column or an axis of MLflow's views holds it beside the figure of each training
    that went into it, and of every other run. The folds' training scans overlap and their TEST scans are the same, so
    the standard deviation says how far one training differs from the next; no interval follows from it.

    Args:
        figures: Figures by name, one mapping a training, at least two.

    Returns:
        Means and standard deviations (over n - 1) of the figures that every training has.
    """
    shared = [name for name in figures[0] if all(name in each for each in figures)]
    found: dict[str, float] = {}
    for name in shared:
        if not name.endswith(NOT_AVERAGED):
            values = [each[name] for each in figures]
            found |= {name: statistics.fmean(values), f"{name}_sd": statistics.stdev(values)}
    return found
