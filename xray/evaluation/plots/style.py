"""What all pictures share: palette, sizes, an empty figure with its title, plain axes.

Nothing here touches pyplot, so no picture is kept or shown behind the caller's back.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from xray.evaluation.metrics.split_metrics import Evaluation

# Blues for the finding, gray for normal, vermilion for what is wrong or decisive: apart in lightness too, so that
# they stay apart for colour-blind eyes and in print (blue and vermilion after Okabe and Ito).
INK, FAINT, GRID = "#1d2733", "#66727f", "#e3e7eb"
BLUE, GRAY, ACCENT = "#1f5f99", "#9aa7b4", "#c84a00"
CAUSE_COLORS = {"normal": "#c9d1d9", "bacterial": BLUE, "viral": "#74b0de", "other": INK}
OTHER_COLORS = (BLUE, "#74b0de", INK, FAINT)
"""For labels that are no cause of a pneumonia, in the order of their names."""

WIDTH, DPI = 8.0, 150
TEXT, SMALL = 10, 9
SPLITS = {"train": "TRAIN", "validation": "validation", "test": "TEST"}


def canvas(height: float, title: str, subtitle: str) -> Figure:
    """Make an empty figure with a title and a subtitle at its top left; `height` is in inches."""
    head = 0.7 + 0.19 * subtitle.count("\n")
    layout = ConstrainedLayoutEngine(rect=(0.005, 0.01, 0.99, 1 - head / height - 0.01))
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout, facecolor="white")
    figure.text(0.1 / WIDTH, 1 - 0.12 / height, title, va="top", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.1 / WIDTH, 1 - 0.42 / height, subtitle, va="top", fontsize=TEXT, color=FAINT, linespacing=1.3)
    return figure


def plain_axes(axes: Axes, x: str, y: str) -> Axes:
    """Label both axes and take away all ink but a grid and a base line."""
    axes.set_xlabel(x, color=INK, fontsize=TEXT)
    axes.set_ylabel(y, color=INK, fontsize=TEXT)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=SMALL, colors=FAINT)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set(visible=True, color=GRAY)
    return axes


def unit_square(axes: Axes) -> None:
    """Let both axes run from 0 to 100 %."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))


def subtitle_of(evaluation: Evaluation) -> str:
    """Say which scans an evaluation is of, for the line under a title."""
    split = SPLITS.get(evaluation.split, evaluation.split)
    people = f"{evaluation.scans:,} scans of {evaluation.patients:,} patients"
    return f"{split}: {people}, {evaluation.prevalence:.1%} {evaluation.finding}"
