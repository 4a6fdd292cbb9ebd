"""The pictures of a model that knows several classes: what was called what, and each class's ROC curve."""

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate
from xray.evaluation.metrics.multiclass import ClassEvaluation, ClassScores
from xray.evaluation.plots.style import (
    ACCENT,
    BLUE,
    CAUSE_COLORS,
    FAINT,
    GRAY,
    INK,
    SMALL,
    SPLITS,
    TEXT,
    canvas,
    plain_axes,
    unit_square,
)

COLORS = (GRAY, BLUE, CAUSE_COLORS["viral"], ACCENT, INK)
STYLES = ("solid", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
"""Lines differ in dashes too, for colour-blind eyes and print."""

DOT: dict[str, Any] = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "zorder": 4}


def class_confusion(evaluation: ClassEvaluation) -> Figure:
    """Show what the most likely class is of the scans of each class, with their share of the row; it is no decision."""
    classes, k = evaluation.classes, len(evaluation.classes)
    accuracy = f"the most likely class, {_words('accuracy', evaluation.figures['accuracy'])}"
    figure = canvas(1.5 + 0.95 * k, "Confusion matrix of the classes", f"{_scans(evaluation)}\n{accuracy}")
    axes = figure.subplots()
    for row, cells in enumerate(evaluation.confusion):
        for column, count in enumerate(cells):
            share = count / max(1, cells.sum())
            color = BLUE if row == column else ACCENT
            shade = 0.08 + 0.5 * share  # light enough for dark words on it
            axes.bar(column, 0.97, 0.985, row - 0.485, color=color, alpha=shade)
            ink: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
            axes.text(column, row - 0.12, f"{count:,}", fontsize=17, fontweight="bold", **ink)
            words = f"{share:.1%} of row" if cells.sum() else "no scans"
            axes.text(column, row + 0.24, words, fontsize=SMALL, **ink)
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), xticks=range(k), yticks=range(k))
    axes.set_xticklabels([f"likeliest\n{name}" for name in classes])
    totals = evaluation.confusion.sum(axis=1)
    axes.set_yticklabels([f"{name}\n({total:,})" for name, total in zip(classes, totals, strict=True)])
    axes.tick_params(length=0, labelsize=TEXT, colors=INK)
    axes.spines[:].set_visible(False)
    return figure


def class_rocs(scores: ClassScores, evaluation: ClassEvaluation) -> Figure:
    """Show each class against the rest, sensitivity over false alarms, with the decision for the most likely class.

    Args:
        scores: What `evaluation` was made from.
        evaluation: The figures of the curves, and the classes that have too few scans for one.
    """
    macro = _words("mean AUC of the classes", evaluation.figures.get("macro_auc"))
    figure = canvas(6.8, "ROC curve of each class against the rest", f"{_scans(evaluation)}\n{macro}")
    axes = plain_axes(
        figure.subplots(),
        "1 - specificity (scans of other classes, called so)",
        "sensitivity (scans of the class, called so)",
    )
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (1, 3)), label="chance")
    for place, (name, style, color) in enumerate(zip(scores.classes, cycle(STYLES), cycle(COLORS), strict=False)):
        if evaluation.figures.get(f"auc_{name}") is None:
            axes.plot([], [], " ", label=f"{name}: {evaluation.confusion[place].sum()} scans, too few for a curve")
        else:
            _curve(axes, scores, evaluation, place, style, color)
    axes.plot([], [], " ", color=INK, label="the most likely class", **DOT)
    unit_square(axes)
    axes.legend(loc="lower right", fontsize=SMALL, frameon=False, handlelength=3)
    return figure


def _curve(axes: Axes, scores: ClassScores, evaluation: ClassEvaluation, place: int, style: object, color: str) -> None:
    name, known = scores.classes[place], scores.class_index >= 0
    y, p = scores.class_index[known] == place, scores.probabilities[known, place]
    cuts = metrics.ranking(y, p, metrics.unit_weights(len(y)))
    false_alarms, found = (np.append(0, part[0] / part[0, -1]) for part in (cuts.fp, cuts.tp))
    label = f"{name} ({y.sum():,}), {_words('AUC', evaluation.figures[f'auc_{name}'])}"
    axes.plot(false_alarms, found, color=color, linewidth=2, linestyle=style, label=label)
    specificity, sensitivity = (evaluation.figures[f"{figure}_{name}"] for figure in ("specificity", "sensitivity"))
    if specificity is not None and sensitivity is not None:
        axes.plot(1 - specificity.value, sensitivity.value, color=color, **DOT)


def _scans(evaluation: ClassEvaluation) -> str:
    split = SPLITS.get(evaluation.split, evaluation.split.replace("_", " "))
    return f"{split}: {evaluation.scans:,} scans of {evaluation.patients:,} patients, {len(evaluation.classes)} classes"


def _words(name: str, figure: Estimate | None) -> str:
    if figure is None:
        return f"{name} undefined"
    interval = "no interval" if figure.low is None else f"95% interval {figure.low:.3f} to {figure.high:.3f}"
    return f"{name} {figure.value:.3f} ({interval})"
