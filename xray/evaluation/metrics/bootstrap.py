"""95 % intervals by a percentile bootstrap over patients.

A patient's scans are alike, so patients are drawn with replacement and bring all their scans with them.
A draw is a row of weights, how often each scan counts, and a statistic is computed for all draws at once.
A figure that is perfect on the scans is perfect in every draw: its interval, 1 to 1, then says nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray.errors import EvaluationError

QUANTILES = (0.025, 0.975)
MOST_LEFT_OUT = 0.2
"""No interval where more than this share of the draws is undefined: then one patient decides (0.37 of the draws
miss a given patient, 0.14 both of two), and the percentiles would look far surer than they are."""

_BATCH = 250  # draws at once: 10 MB of weights for 5,282 scans

Statistics = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""From weights float64 (draws, n) to named figures float64 (draws,), NaN where a draw leaves one undefined."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: The figure on the scans as they are.
        low: Lower end, or None where no interval can be given.
        high: Upper end, or None with `low`.
        left_out: Bootstrap draws in which the figure was undefined (a class was missing).
    """

    value: float
    low: float | None
    high: float | None
    left_out: int = 0

    def __str__(self) -> str:
        """Write it for a table, to three decimals."""
        interval = "no interval" if self.low is None else f"{self.low:.3f} to {self.high:.3f}"
        return f"{self.value:.3f} ({interval})"

    def percent(self) -> str:
        """Write a share for a sentence, in percent to one decimal."""
        return f"{self.value:.1%} ({self.between()})"

    def between(self) -> str:
        """Write the interval of a share in words, in percent; one of no width says nothing, and is not written."""
        if self.low is None or self.high is None or self.low == self.high:
            return "no interval"
        return f"{100 * self.low:.1f} to {100 * self.high:.1f}%"


def estimate_of(metrics: Mapping[str, float], name: str) -> Estimate | None:
    """Read an estimate back from what `flat_estimates` gave, by its whole name; None where it does not exist."""
    if name not in metrics:
        return None
    return Estimate(metrics[name], metrics.get(f"{name}_low"), metrics.get(f"{name}_high"))


def bootstrap(statistics: Statistics, patients: Sequence[str], seed: int, draws: int) -> dict[str, Estimate | None]:
    """Estimate figures and their 95 % intervals by drawing patients with replacement.

    Args:
        statistics: The figures from weights; the point estimate is its result on unit weights.
        patients: n patient ids, one a scan. The order of the scans does not matter.
        seed: Seed of the draws.
        draws: Number of draws, at least 1.

    Returns:
        An estimate for each figure, or None for one that the scans leave undefined.

    Raises:
        EvaluationError: No scans, or no draws.
    """
    if not len(patients) or draws < 1:
        raise EvaluationError(
            f"a bootstrap needs at least one scan and one draw. Received: scans={len(patients)}, draws={draws}"
        )
    names, patient_of_scan = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    points = statistics(np.ones((1, len(patient_of_scan))))
    generator = np.random.default_rng(seed)
    batches = [
        statistics(_draw(generator, min(_BATCH, draws - done), len(names))[:, patient_of_scan])
        for done in range(0, draws, _BATCH)
    ]
    return {
        name: _estimate(float(point[0]), np.concatenate([batch[name] for batch in batches]), len(names))
        for name, point in points.items()
    }


def flat_estimates(prefix: str, estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """Name each estimate `PREFIX.NAME` and the ends of its interval `_low` and `_high`, where it has one."""
    numbers: dict[str, float | None] = {}
    for name, each in estimates.items():
        numbers |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return {f"{prefix}.{name}": float(number) for name, number in numbers.items() if number is not None}


def _draw(generator: np.random.Generator, draws: int, patients: int) -> NDArray[np.float64]:
    """Draw `patients` patients with replacement, `draws` times: counts, float64 (draws, patients)."""
    chosen = generator.integers(patients, size=(draws, patients)) + patients * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * patients).reshape(draws, patients).astype(np.float64)


def _estimate(value: float, drawn: NDArray[np.float64], patients: int) -> Estimate | None:
    if np.isnan(value):
        return None
    defined = drawn[~np.isnan(drawn)]
    left_out = len(drawn) - len(defined)
    if patients < 2 or left_out > MOST_LEFT_OUT * len(drawn):
        return Estimate(value, None, None, left_out)
    low, high = np.quantile(defined, QUANTILES)
    return Estimate(value, float(low), float(high), left_out)
