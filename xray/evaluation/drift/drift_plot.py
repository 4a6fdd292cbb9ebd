"""The drift plot: each feature of new scans over the same feature of the reference scans."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from xray.evaluation.drift.statistics import Drift
from xray.evaluation.plots.style import ACCENT, BLUE, GRAY, SMALL, SPLITS, TEXT, canvas, plain_axes
from xray.labels import is_probability


def drift_distributions(drift: Drift, values: Mapping[str, Sequence[NDArray[np.float64]]]) -> Figure:
    """Show each feature of new scans over the same feature of the scans that the model was made from.

    Args:
        drift: The comparison.
        values: By feature: the reference's values and the new scans', float (n,) each.
    """
    rows = -(-len(values) // 2)
    told = any(shift.alarm is not None for shift in drift.current.values())
    calm = "no alarm" if told else "too few scans"
    alarms = f"alarm: {', '.join(drift.alarms).replace('_', ' ')}" if drift.alarms else calm
    scans = max(len(now) for _, now in values.values())
    figure = canvas(0.9 + 2.2 * rows, "New scans and the model's reference", f"{scans:,} new scans · {alarms}")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes in panels[len(values) :]:
        axes.axis("off")
    for axes, (feature, (then, now)) in zip(panels, values.items(), strict=False):
        shift = drift.current[feature]
        plain_axes(axes, feature.replace("_", " "), "share of scans")
        low, high = np.quantile(np.concatenate([then, now]), [0.001, 0.999])
        bins = np.linspace(low, high, 31) if high > low else np.linspace(low - 1, low + 1, 31)
        inside = [np.clip(part, bins[0], bins[-1]) for part in (then, now)]
        own = SPLITS["validation" if is_probability(feature) else "train"]
        color = ACCENT if shift.alarm else BLUE
        share = [np.full(len(part), 1 / len(part)) for part in inside]
        axes.hist(inside[0], bins=bins, weights=share[0], color=GRAY, alpha=0.6, label=own)
        axes.hist(inside[1], bins=bins, weights=share[1], color=color, histtype="step", linewidth=1.6, label="new")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_title(f"PSI {shift.psi:.2f}, KS {shift.ks:.2f}", loc="left", fontsize=TEXT, color=color)
        axes.legend(loc="best", fontsize=SMALL - 1, frameon=False)
    return figure
