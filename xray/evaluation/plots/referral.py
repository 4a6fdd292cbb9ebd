"""The referral plot: errors against the share of scans that the model decides."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from xray.evaluation.decision.referral import Band, band_figures, coverage_curve
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.split_metrics import Evaluation, labels_and_scores
from xray.evaluation.plots.style import ACCENT, BLUE, SMALL, canvas, plain_axes, subtitle_of


def coverage_picture(scores: pd.DataFrame, band: Band, evaluation: Evaluation) -> Figure:
    """Show the errors among the scans that are decided, from the surest scan to all of them, with the band marked.

    The curve decides equally far on both sides of the threshold. The band need not, so it may lie off the curve.

    Args:
        scores: A row a scan of the split: patient_id, label, subtype, split, p_FINDING.
        band: The band chosen on validation, around the evaluation's chosen threshold.
        evaluation: Of the same scans.

    Raises:
        EvaluationError: A column is missing, a value is out of bounds, or the threshold lies outside the band.
    """
    y, p = labels_and_scores(scores)
    threshold = evaluation.chosen.threshold
    curve = coverage_curve(y, p, threshold)
    at = {name: float(of[0]) for name, of in band_figures(y, p, band, threshold, metrics.unit_weights(len(y))).items()}
    words = f"scores from {band.low:.3f} to {band.high:.3f} are referred, {at['referred']:.1%} of the scans"
    subtitle = words if band.low < band.high else "no scan is referred"
    figure = canvas(5.2, "Errors among the scans that are decided", f"{subtitle_of(evaluation)}\n{subtitle}")
    axes = plain_axes(figure.subplots(), "share decided by the model", "decided wrongly")
    axes.plot(curve.coverage, curve.error, color=BLUE, linewidth=2, label="only the most confident decided")
    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgewidth": 1.8, "zorder": 4, "clip_on": False}
    ring = dot | {"markersize": 11, "markeredgecolor": BLUE, "markerfacecolor": "white"}
    axes.plot(1, curve.error[-1], label=f"all scans decided: {curve.error[-1]:.1%} wrong", **ring)
    if band.low < band.high and not np.isnan(at["error_decided"]):  # where all are referred, there is no error to mark
        decided = 1 - at["referred"]
        label = f"the stored band: {decided:.1%} decided, {at['error_decided']:.1%} wrong"
        dot |= {"markersize": 7, "markeredgecolor": ACCENT, "markerfacecolor": ACCENT}
        axes.plot(decided, at["error_decided"], label=label, **dot)
    # The band's own point may lie above the curve, and either at the ends: all of it within the frame.
    highest = max(float(np.max(line.get_ydata())) for line in axes.lines)
    highest = max(highest, 0.01)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.06 * highest, 1.15 * highest))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if highest > 0.05 else 1))
    axes.legend(loc="best", fontsize=SMALL, frameon=False)
    return figure
