"""The pictures of a run's scores, one function each: matplotlib Figures 8 inches wide, readable at 800 pixels.

Past 250 lines, since the pictures that every run has stand here together. What all pictures share is in `canvas`.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.calibration import reliability
from xray.evaluation.metrics.split_metrics import Evaluation, OperatingPoint, labels_and_scores
from xray.evaluation.plots.style import (
    ACCENT,
    BLUE,
    CAUSE_COLORS,
    FAINT,
    GRAY,
    INK,
    OTHER_COLORS,
    SMALL,
    SPLITS,
    TEXT,
    canvas,
    plain_axes,
    subtitle_of,
    unit_square,
)
from xray.labels import CAUSE_OF_SUBTYPE, NORMAL, REFER, raw_column

UNKNOWN = "pneumonia, cause unknown"


def class_distribution(rows: pd.DataFrame, finding: str) -> Figure:
    """Show what the scans of each split are: normal, a pneumonia by its cause, or another label.

    Args:
        rows: A catalog's rows: split and subtype.
        finding: What the model tells from normal.
    """
    kinds = rows["subtype"].map(lambda subtype: CAUSE_OF_SUBTYPE.get(subtype, subtype)).replace("unknown", UNKNOWN)
    other = sorted(set(kinds) - set(CAUSE_COLORS))
    colors = CAUSE_COLORS | dict(zip(other, cycle(OTHER_COLORS), strict=False))
    counts = pd.crosstab(rows["split"], kinds).reindex(index=list(SPLITS), columns=list(colors), fill_value=0)
    counts = counts[counts.sum(axis=1) > 0]
    figure = canvas(1.5 + 0.75 * len(counts), "Scans by split and label", f"{len(rows):,} scans")
    axes = figure.subplots()
    for place, (split, row) in enumerate(counts.iterrows()):
        total, left = int(row.sum()), 0.0
        for cause, count in row.items():
            share = count / total
            axes.barh(place, share, left=left, height=0.72, color=colors[str(cause)], edgecolor="white")
            if share > 0.07:
                color = "white" if colors[str(cause)] in (BLUE, INK) else INK
                words = f"{count:,}\n{share:.1%}"
                axes.text(left + share / 2, place, words, ha="center", va="center", color=color, fontsize=TEXT)
            left += share
        found = 1 - row[NORMAL] / total
        axes.text(1.015, place, f"{found:.1%}\n{finding}", va="center", color=FAINT, fontsize=SMALL)
        axes.text(-0.015, place, f"{SPLITS[str(split)]}\n{total:,}", ha="right", va="center", color=INK, fontsize=TEXT)
    for cause in [name for name in colors if counts[name].sum()]:
        axes.bar(0, 0, color=colors[cause], label=f"{cause} ({counts[cause].sum():,})")
    axes.set(xlim=(0, 1), ylim=(len(counts) - 0.55, -0.45))
    axes.axis("off")
    axes.legend(loc="upper left", bbox_to_anchor=(-0.012, 0), ncols=4, frameon=False, fontsize=TEXT, handlelength=1)
    return figure


def roc_curve(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show sensitivity against false alarms at every threshold, with the chosen one and 0.5 marked."""
    y, p = labels_and_scores(scores)
    cuts = metrics.ranking(y, p, metrics.unit_weights(len(y)))
    figure = canvas(6.6, "ROC curve", subtitle_of(evaluation))
    finding = evaluation.finding
    axes = plain_axes(
        figure.subplots(), f"1 - specificity (normal scans called {finding})", f"sensitivity ({finding} found)"
    )
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    false_alarms, found = (np.append(0, part[0] / part[0, -1]) for part in (cuts.fp, cuts.tp))
    axes.plot(false_alarms, found, color=BLUE, linewidth=2, label=f"AUC {_words(evaluation, 'auc')}")
    for name, point, marker in _points(evaluation):
        at = {key: point.figures[key].value for key in ("sensitivity", "specificity")}
        words = f"{point.threshold:.3f}: sensitivity {at['sensitivity']:.3f}, specificity {at['specificity']:.3f}"
        axes.plot(1 - at["specificity"], at["sensitivity"], label=f"{name} {words}", **marker)
    axes.legend(loc="lower right", fontsize=SMALL, frameon=False)
    unit_square(axes)
    return figure


def precision_recall(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show precision against sensitivity at every threshold, with the chosen one and 0.5 marked."""
    y, p = labels_and_scores(scores)
    cuts = metrics.ranking(y, p, metrics.unit_weights(len(y)))
    tp, fp = cuts.tp[0], cuts.fp[0]
    precision, recall = tp / (tp + fp), tp / tp[-1]
    figure = canvas(6.6, "Precision and recall", subtitle_of(evaluation))
    finding, share = evaluation.finding, evaluation.prevalence
    axes = plain_axes(
        figure.subplots(), "recall (sensitivity)", f"precision (of scans called {finding}, share that is)"
    )
    axes.axhline(share, color=GRAY, linewidth=1, linestyle=(0, (4, 3)), label=f"all called {finding}: {share:.3f}")
    words = f"average precision {_words(evaluation, 'average_precision')}"
    axes.step(
        np.append(0, recall), np.append(precision[0], precision), where="pre", color=BLUE, linewidth=2, label=words
    )
    for name, point, marker in _points(evaluation):
        found, alarms = point.confusion["tp"], point.confusion["fp"]
        if found + alarms:  # where nothing is called so, there is no precision to mark
            at, kept = point.figures["sensitivity"].value, found / (found + alarms)
            label = f"{name} {point.threshold:.3f}: recall {at:.3f}, precision {kept:.3f}"
            axes.plot(at, kept, label=label, **marker)
    axes.legend(loc="lower left", fontsize=SMALL, frameon=False)
    unit_square(axes)
    return figure


def calibration(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show how often scans of each predicted probability have the finding, and how many scans each bin holds.

    What the network gave before calibration stands behind it, where `p_FINDING_raw` says so.
    """
    y, p = labels_and_scores(scores)
    bins = reliability(y, p, evaluation.bins)
    words = [f"{name.replace('_', ' ')} {_words(evaluation, name)}" for name in ("calibration_error", "brier")]
    figure = canvas(7.2, "Calibration", f"{subtitle_of(evaluation)}\n{', '.join(words)}")
    above, below = figure.subplots(2, 1, height_ratios=[3.4, 1], sharex=True)
    plain_axes(above, "", f"share that is {evaluation.finding}")
    above.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    raw = raw_column(evaluation.finding)
    if raw in scores and not np.array_equal(scores[raw], p):
        before = reliability(y, scores[raw].to_numpy(dtype=np.float64), evaluation.bins)
        above.plot(before.predicted, before.observed, "o--", color=FAINT, linewidth=1, markersize=4, label="before")
    above.vlines(bins.predicted, bins.predicted, bins.observed, color=ACCENT, linewidth=1.4, label="gap")
    held = bins.scans[bins.filled]
    sizes = 25 + 250 * held / held.max()  # few scans, small dot: a wide gap there means little
    above.scatter(bins.predicted, bins.observed, sizes, BLUE, clip_on=False, zorder=3, label="bin (larger: more scans)")
    above.legend(loc="best", fontsize=SMALL, frameon=False, markerscale=0.6)
    above.set(xlim=(0, 1), ylim=(0, 1))
    plain_axes(below, f"predicted probability of {evaluation.finding}", "scans")
    bars = below.bar(
        bins.edges[:-1], bins.scans, np.diff(bins.edges), align="edge", color=CAUSE_COLORS["viral"], edgecolor="white"
    )
    below.bar_label(
        bars, [f"{count:,}" if count else "" for count in bins.scans], color=FAINT, fontsize=SMALL - 1, padding=1
    )
    below.set_ylim(0, 1.22 * bins.scans.max())
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def learning_curves(history: Mapping[str, Any]) -> Figure:
    """Show loss and accuracy of each epoch on training and validation scans, with the best epoch marked.

    Args:
        history: What a finished training folder's history.json holds.
    """
    epochs: Sequence[Mapping[str, float]] = history["epochs"]
    best, numbers = history["best_epoch"], [epoch["epoch"] for epoch in epochs]
    ending = "stopped early" if history.get("stopped_early") else "not stopped early"
    count = f"{len(epochs):,} epoch{'' if len(epochs) == 1 else 's'}"
    figure = canvas(4.2, "Learning curves", f"{count}, {ending} · best epoch {best} · {history['precision']}")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        plain_axes(axes, "epoch", name)
        axes.axvline(best, color=ACCENT, linewidth=1.2, linestyle=(0, (4, 3)), label=f"best epoch {best}")
        for key, label, color in ((name, "train", GRAY), (f"val_{name}", "validation", BLUE)):
            values = [epoch[key] for epoch in epochs]
            axes.plot(
                numbers,
                values,
                color=color,
                linewidth=2,
                label=label,
                marker="o",
                markersize=6 if len(epochs) < 12 else 0,
            )
        if len(epochs) < 12:
            axes.set_xticks(numbers)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
        axes.legend(loc="best", fontsize=SMALL, frameon=False)
    return figure


def confusion_matrix(outcomes: Outcomes, evaluation: Evaluation) -> Figure:
    """Show what became of the scans of each label: with the doubtful ones referred, and were every scan decided.

    Args:
        outcomes: What became of the scans.
        evaluation: Of the same scans.
    """
    figure = canvas(4.1, "Decision by label", subtitle_of(evaluation))
    counts = evaluation.chosen.confusion
    alone = ((counts["tp"], counts["fn"]), (counts["fp"], counts["tn"]))
    panels = {
        f"with referral: {outcomes.referred:,} of {outcomes.scans:,} referred": [
            [outcomes.counts[label][decision] for decision in outcomes.decisions] for label in outcomes.labels
        ],
        f"if every scan is decided, at {evaluation.chosen.threshold:.3f}": alone,
    }
    axes_of = figure.subplots(1, len(panels), width_ratios=[len(table[0]) for table in panels.values()])
    for axes, (heading, table) in zip(axes_of, panels.items(), strict=True):
        _counts(axes, table, outcomes)
        axes.set_title(heading, loc="left", fontsize=TEXT, color=INK)
    return figure


def _counts(axes: Axes, table: Sequence[Sequence[int]], outcomes: Outcomes) -> None:
    """Draw a row a label and a column a decision; what is wrong in one colour, what is referred in another."""
    for row, cells in enumerate(table):
        for column, count in enumerate(cells):
            share = count / max(1, sum(cells))
            color = GRAY if outcomes.decisions[column] == REFER else BLUE if row == column else ACCENT
            shade = 0.08 + 0.5 * share  # light enough for dark words on it
            axes.bar(column, 0.97, 0.97, row - 0.485, color=color, alpha=shade)
            at: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
            axes.text(column, row - 0.07, f"{count:,}", fontsize=17, fontweight="bold", **at)
            axes.text(column, row + 0.2, f"{share:.1%} of row", fontsize=SMALL - 1, **at)
    wide = len(table[0])
    axes.set(xlim=(-0.5, wide - 0.5), ylim=(1.5, -0.5), xticks=range(wide), yticks=[0, 1], aspect="equal")
    axes.set_xticklabels(["referred" if name == REFER else f"called\n{name}" for name in outcomes.decisions[:wide]])
    axes.set_yticklabels([f"{label}\n({sum(cells):,})" for label, cells in zip(outcomes.labels, table, strict=True)])
    axes.tick_params(length=0, labelsize=TEXT, colors=INK)
    axes.spines[:].set_visible(False)


def score_distribution(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show the scores of the scans of each label: which are decided rightly, which wrongly, which are referred.

    Args:
        scores: A row a scan of the split, with its decision.
        evaluation: Of the same scans.
    """
    y, p = labels_and_scores(scores)
    refer, right = ((scores["decision"] == other).to_numpy(dtype=bool) for other in (REFER, scores["label"]))
    figure = canvas(5.6, "Scores by label", subtitle_of(evaluation))
    panels = figure.subplots(2, 1, sharex=True)
    for axes, label, mask in zip(panels, (evaluation.finding, NORMAL), (y, ~y), strict=True):
        words = f"predicted probability of {evaluation.finding}"
        plain_axes(axes, words if label == NORMAL else "", f"{label} scans")
        parts = {f"called {label}": right, "referred": refer, "wrong": ~right & ~refer}
        colors = (BLUE, GRAY, ACCENT)
        names = [f"{(mask & part).sum():,} {words}" for words, part in parts.items()]
        values = [p[mask & part] for part in parts.values()]
        bins = np.linspace(0, 1, 41)
        axes.hist(values, bins=bins, stacked=True, color=colors, edgecolor="white", linewidth=0.5, label=names)
        axes.axvline(evaluation.chosen.threshold, color=INK, linewidth=1.2)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_title(f"{mask.sum():,} {label} scans", loc="left", fontsize=TEXT, color=INK)
        axes.legend(loc="best", fontsize=SMALL, frameon=False)
        axes.set_xlim(0, 1)
    panels[0].set_title(f"threshold {evaluation.chosen.threshold:.3f}", loc="right", fontsize=TEXT, color=INK)
    return figure


def _words(evaluation: Evaluation, name: str) -> str:
    found = evaluation.ranking[name]
    interval = "no interval" if found.low is None else f"95% interval {found.low:.3f} to {found.high:.3f}"
    return f"{found.value:.3f} ({interval})"


def _points(evaluation: Evaluation) -> list[tuple[str, OperatingPoint, dict[str, Any]]]:
    """Name both operating points, each with its marker; the chosen one lies on top and fits into the other."""
    ring = {"linestyle": "none", "marker": "o", "markeredgecolor": ACCENT, "markeredgewidth": 1.8, "zorder": 4}
    return [
        ("threshold", evaluation.half, ring | {"markerfacecolor": "white", "markersize": 12}),
        ("chosen threshold", evaluation.chosen, ring | {"markerfacecolor": ACCENT, "markersize": 6}),
    ]
