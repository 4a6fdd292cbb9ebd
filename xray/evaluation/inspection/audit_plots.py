"""Plots of the inspection: losses on changed scans, and metrics on slices of the scans."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xray.evaluation.inspection import robustness as changed
from xray.evaluation.inspection import slices as sliced
from xray.evaluation.inspection.robustness import Robustness, spoken
from xray.evaluation.inspection.slices import Slices
from xray.evaluation.metrics.bootstrap import Estimate
from xray.evaluation.plots.style import ACCENT, BLUE, FAINT, GRAY, INK, SMALL, SPLITS, TEXT, canvas, plain_axes

ROW = 0.3
"""Height of a line of dots, in inches."""

SMALLER: Mapping[str, Any] = {
    "va": "center",
    "color": FAINT,
    "fontsize": SMALL - 1,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.6},  # over the grid
}


def robustness_picture(robustness: Robustness) -> Figure:
    """Show what each change costs of each figure, as a dot with its 95 % interval; losses above chance stand out.

    Args:
        robustness: At least one change; also the masked scans of a shortcut audit.
    """
    words = (
        f"{_subtitle(robustness)}, threshold {robustness.threshold:.3f}\n"
        "Loss: the metric on unchanged scans minus the metric on changed scans.\n"
        "Lines are 95 % intervals. Orange: the whole interval lies above 0."
    )
    figure = canvas(1.8 + ROW * len(robustness.changes), "Loss of each metric on changed scans", words)
    losses = {change: robustness.losses(change) for change in robustness.changes}
    panels = figure.subplots(1, len(changed.METRICS), sharey=True, sharex=True)
    for axes, name in zip(panels, changed.METRICS, strict=True):
        plain_axes(axes, f"loss of {name}", "")
        axes.axvline(0, color=INK, linewidth=1)
        for place, change in enumerate(robustness.changes):
            loss = losses[change][name]
            _dot(axes, place, loss, ACCENT if loss.low is not None and loss.low > 0 else BLUE)
        axes.locator_params(axis="x", nbins=4)
    left, right = panels[0].get_xlim()
    panels[0].set_xlim(left, right + 0.3 * (right - left))  # room for the numbers
    _rows(panels[0], list(range(len(losses))), [spoken(change) for change in losses])
    return figure


def slices_picture(slices: Slices) -> Figure:
    """Show sensitivity and specificity of each part with its 95 % interval, the worst in orange, and that of all scans.

    Args:
        slices: At least one part.
    """
    words = (
        f"{_subtitle(slices)}, threshold {slices.threshold:.3f}\n"
        "Lines are 95 % intervals. Orange: the worst slice, which is low partly by chance."
    )
    places = _places(slices)
    figure = canvas(1.9 + ROW * places[-1], "Metrics on slices of the scans", words)
    panels = figure.subplots(1, len(sliced.METRICS), sharey=True, sharex=True)
    for axes, name in zip(panels, sliced.METRICS, strict=True):
        plain_axes(axes, name, "")
        worst, whole = slices.worst(name), slices.whole.figures.get(name)
        if whole is not None:
            axes.axvline(whole.value, color=GRAY, linewidth=1)
            axes.set_title(f"all scans {whole}", loc="left", fontsize=TEXT, color=INK)
        for place, part in zip(places, slices.parts, strict=True):
            if name in part.figures:
                _dot(axes, place, part.figures[name], ACCENT if part is worst else BLUE)
            elif part.counts[name]:
                axes.text(0.02, place, part.cell(name), transform=axes.get_yaxis_transform(), **SMALLER)
        axes.locator_params(axis="x", nbins=5)
    left, _ = panels[0].get_xlim()
    panels[0].set_xlim(left, 1 + 0.18 * (1 - left))
    _rows(panels[0], places, [part.words for part in slices.parts])
    return figure


def _subtitle(audit: Robustness | Slices) -> str:
    split = SPLITS.get(audit.split, audit.split)
    return f"{split}: {audit.scans:,} scans of {audit.patients:,} patients"


def _places(slices: Slices) -> list[float]:
    """Give each part its height, in lines from the top: kinds stand a little apart."""
    kinds = list(dict.fromkeys(part.kind for part in slices.parts))
    return [place + 0.6 * kinds.index(part.kind) for place, part in enumerate(slices.parts)]


def _dot(axes: Axes, place: float, estimate: Estimate, color: str) -> None:
    low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
    axes.plot([low, high], [place, place], color=color, linewidth=2, solid_capstyle="round")
    axes.plot(estimate.value, place, color=color, marker="o", markersize=5)
    words = f"{estimate.value:.2f}".replace("-0.00", "0.00")
    axes.annotate(words, (high, place), (6, 0), textcoords="offset points", **SMALLER)


def _rows(axes: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    """Name the lines of dots from the top down."""
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", labelsize=TEXT, labelcolor=INK)
    axes.set_ylim(places[-1] + 0.6, -0.6)
