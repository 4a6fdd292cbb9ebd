"""Whether new scans look and score like those that a model was made from.

Each feature by itself: the Kolmogorov-Smirnov statistic, the shift of the median, and the population stability index,
PSI = sum over bins of (share now - share then) * ln(share now / share then), which is what the alarm listens to. Its
bins hold a tenth of the reference's scans each, and two more hold what lies below and above all of them; an empty
share counts as `EMPTY`. That 0.1 is a small and 0.25 a large shift is a convention of credit scoring (Siddiqi, Credit
Risk Scorecards, 2006); by chance alone (bins - 1) * (1/n + 1/m) is to be expected of it (Yurdakul and Naranjo,
"Statistical properties of the population stability index", Journal of Risk Model Validation 14(4), 2020).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.drift.reference import Reference

BINS = 10
EMPTY = 1e-4


@dataclass(frozen=True)
class Shift:
    """How a feature of some scans differs from the reference.

    Attributes:
        reference_scans: Scans of the reference.
        scans: Scans compared with them.
        reference_median: Of the reference, in the feature's own unit.
        median: Of the scans, likewise.
        ks: Kolmogorov-Smirnov statistic, 0 to 1: the largest gap between both cumulative shares.
        p_value: Of that statistic, two-sided: how often chance alone makes it as large.
        psi: Population stability index, 0 for equal shares.
        alarm: Whether it has reached the limit; None where there are too few scans.
    """

    reference_scans: int
    scans: int
    reference_median: float
    median: float
    ks: float
    p_value: float
    psi: float
    alarm: bool | None

    @property
    def median_shift(self) -> float:
        """The scans' median less the reference's."""
        return self.median - self.reference_median


@dataclass(frozen=True)
class Drift:
    """New scans against a model's reference, and the TEST scans as the positive control beside them.

    Attributes:
        current: By feature, for the new scans.
        control: By feature, for the official TEST scans.
    """

    current: Mapping[str, Shift]
    control: Mapping[str, Shift]

    @property
    def alarms(self) -> list[str]:
        """Name the features of the new scans that raise the alarm."""
        return [name for name, shift in self.current.items() if shift.alarm]

    def flat(self) -> dict[str, float]:
        """Give every figure by a dotted name, as MLflow's metrics name it."""
        parts = {"drift": self.current, "control": self.control}
        names = ("psi", "ks", "p_value", "median_shift")
        flat = {
            f"{part}.{feature}.{name}": float(getattr(shift, name))
            for part, shifts in parts.items()
            for feature, shift in shifts.items()
            for name in names
        }
        return {**flat, "drift.alarms": float(len(self.alarms))}

    def rows(self) -> list[dict[str, str]]:
        """Give the report as a table, in words: a row a feature."""
        words = {True: "alarm", False: "no", None: "too few"}
        return [
            {
                "feature": feature.replace("_", " "),
                "reference median": f"{shift.reference_median:.4g}",
                "median": f"{shift.median:.4g}",
                "PSI": f"{shift.psi:.3f}",
                "KS": f"{shift.ks:.3f}",
                "drift": words[shift.alarm],
                "TEST PSI": f"{self.control[feature].psi:.3f}" if feature in self.control else "",
                "TEST KS": f"{self.control[feature].ks:.3f}" if feature in self.control else "",
            }
            for feature, shift in self.current.items()
        ]

    def values(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        parts = {"current": self.current, "control": self.control}
        return {name: {feature: asdict(shift) for feature, shift in part.items()} for name, part in parts.items()}


def drift(reference: Reference, scans: pd.DataFrame, settings: config.Drift) -> Drift:
    """Compare scans with a model's reference, feature by feature.

    Args:
        reference: Of the model.
        scans: A row a scan; those of `reference.features` that it has are compared, as far as they are not NaN.
        settings: The alarm's limit.
    """
    parts = [
        {
            name: shift(reference.values(name), table[name].dropna().to_numpy(dtype=np.float64), settings)
            for name in reference.features
            if name in table and table[name].notna().any()
        }
        for table in (scans, reference.test())
    ]
    return Drift(*parts)


def shift(then: NDArray[np.float64], now: NDArray[np.float64], settings: config.Drift) -> Shift:
    """Compare a feature's values.

    Args:
        then: float (m,), the reference.
        now: float (n,).
        settings: The alarm's limit.

    Raises:
        EvaluationError: One of them is empty, or holds a value that is no number.
    """
    if not len(then) or not len(now) or not np.isfinite(then).all() or not np.isfinite(now).all():
        raise EvaluationError(f"values must be numbers, one at least. Received: {len(then)} and {len(now)}")
    test = ks_2samp(then, now)
    psi = stability_index(then, now)
    return Shift(
        reference_scans=len(then),
        scans=len(now),
        reference_median=float(np.median(then)),
        median=float(np.median(now)),
        ks=float(test.statistic),
        p_value=float(test.pvalue),
        psi=psi,
        alarm=psi >= settings.limit if min(len(then), len(now)) >= settings.least_scans else None,
    )


def stability_index(then: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Give the population stability index, with the bins that this file's first lines tell.

    Args:
        then: float (m,), the reference.
        now: float (n,).
    """
    # A bin reaches to its edge and holds it; values that are equal share a bin, so there may be fewer than ten.
    inner = np.unique(np.quantile(then, np.linspace(0, 1, BINS + 1)))
    edges = np.concatenate([[np.nextafter(inner[0], -np.inf)], inner[1:] if len(inner) > 1 else inner])
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values), EMPTY)
        for values in (then, now)
    ]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
