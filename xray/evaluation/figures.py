"""The pictures of a run, one function each: matplotlib Figures 8 inches wide, readable at 800 pixels.

One file past 250 lines, because it is the only one that imports matplotlib, and one palette and one set of sizes
hold for all. Nothing here touches pyplot, so no picture is kept or shown behind the caller's back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation import metrics
from xray.evaluation.calibration import reliability
from xray.evaluation.drift import Drift
from xray.evaluation.report import Evaluation, OperatingPoint, labels_and_scores
from xray.labels import CAUSE_OF_SUBTYPE, NORMAL, PNEUMONIA, decide

# Blues for pneumonia, gray for normal, vermilion for what is wrong or decisive: apart in lightness too, so that
# they stay apart for colour-blind eyes and in print (blue and vermilion after Okabe and Ito).
INK, FAINT, GRID = "#1d2733", "#66727f", "#e3e7eb"
BLUE, GRAY, ACCENT = "#1f5f99", "#9aa7b4", "#c84a00"
CAUSE_COLORS = {"normal": "#c9d1d9", "bacterial": BLUE, "viral": "#74b0de", "other": INK}
WIDTH, DPI = 8.0, 150
TEXT, SMALL = 10, 9
COLUMNS = 5
SPLITS = {"train": "TRAIN", "validation": "validation", "test": "TEST"}


def class_distribution(rows: pd.DataFrame) -> Figure:
    """Show the causes' shares of each split.

    Args:
        rows: A catalog's rows: split and subtype.
    """
    causes = rows["subtype"].map(CAUSE_OF_SUBTYPE)
    counts = pd.crosstab(rows["split"], causes).reindex(index=list(SPLITS), columns=list(CAUSE_COLORS), fill_value=0)
    counts = counts[counts.sum(axis=1) > 0]
    figure = _canvas(1.5 + 0.75 * len(counts), "Scans by split and cause", f"{len(rows):,} scans")
    axes = figure.subplots()
    for place, (split, row) in enumerate(counts.iterrows()):
        total, left = int(row.sum()), 0.0
        for cause, count in row.items():
            share = count / total
            axes.barh(place, share, left=left, height=0.72, color=CAUSE_COLORS[str(cause)], edgecolor="white")
            if share > 0.07:
                color = "white" if cause == "bacterial" else INK
                words = f"{count:,}\n{share:.1%}"
                axes.text(left + share / 2, place, words, ha="center", va="center", color=color, fontsize=TEXT)
            left += share
        pneumonia = 1 - row["normal"] / total
        axes.text(1.015, place, f"{pneumonia:.1%}\npneumonia", va="center", color=FAINT, fontsize=SMALL)
        axes.text(-0.015, place, f"{SPLITS[str(split)]}\n{total:,}", ha="right", va="center", color=INK, fontsize=TEXT)
    for cause in [name for name in CAUSE_COLORS if counts[name].sum()]:
        axes.bar(0, 0, color=CAUSE_COLORS[cause], label=f"{cause} ({counts[cause].sum():,})")
    axes.set(xlim=(0, 1), ylim=(len(counts) - 0.55, -0.45))
    axes.axis("off")
    axes.legend(loc="upper left", bbox_to_anchor=(-0.012, 0), ncols=4, frameon=False, fontsize=TEXT, handlelength=1)
    return figure


def choose_scans(scores: pd.DataFrame, threshold: float, most: int = 10) -> pd.DataFrame:
    """Choose scans for `scan_grid`: up to `most` right ones as by lot, and the `most` most confidently wrong.

    Right ones are half normal, half pneumonia where there are enough, in the order of their digests: a draw by
    lot that is the same on every machine. Wrong ones are ordered by how far they are past the threshold, as a
    share of how far they could be.

    Args:
        scores: A row a scan: image_id, sha256, label, p_pneumonia.
        threshold: 0 to 1.
        most: Scans a band.

    Returns:
        The chosen rows with a `predicted` and a bool `right` column: right ones first.
    """
    p = scores["p_pneumonia"].to_numpy(dtype=np.float64)
    table = scores.assign(predicted=decide(p, threshold))
    table["right"] = table["predicted"] == table["label"]
    past = np.abs(p - threshold) / np.maximum(np.where(p >= threshold, 1 - threshold, threshold), 1e-12)
    wrong = table.assign(past=past)[~table["right"]].sort_values(["past", "image_id"], ascending=[False, True])
    drawn = table[table["right"]].sort_values(["sha256", "image_id"])
    turn = drawn.groupby("label").cumcount()  # first of each label, second of each label, …
    right = (
        drawn.assign(turn=turn)
        .sort_values(["turn", "label"], kind="stable")
        .head(most)
        .sort_values("label", kind="stable")
    )
    return pd.concat([right.drop(columns="turn"), wrong.head(most).drop(columns="past")], ignore_index=True)


def scan_grid(pixels: NDArray[np.uint8], scans: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show scans with what they are and what they were called: right ones above, wrong ones below.

    Args:
        pixels: uint8 (n, height, width), 0 to 255, in the order of `scans`.
        scans: The n rows of `choose_scans`.
        evaluation: Of the split that the scans are from.

    Raises:
        EvaluationError: There is not one picture for each row.
    """
    if len(pixels) != len(scans):
        raise EvaluationError(f"pixels must be one picture a scan. Received: {len(pixels)} for {len(scans)} scans")
    right = scans["right"].to_numpy(dtype=bool)
    wrong_total = evaluation.chosen.confusion["fp"] + evaluation.chosen.confusion["fn"]
    bands = (
        (f"Right ({evaluation.scans - wrong_total:,} of {evaluation.scans:,}), drawn by lot", right, INK),
        (f"Wrong ({wrong_total:,} of {evaluation.scans:,}), the most confident first", ~right, ACCENT),
    )
    rows = [max(1, -(-int(mask.sum()) // COLUMNS)) for _, mask, _ in bands]
    subtitle = (
        f"{_subtitle(evaluation)}\n"
        f"The number is the predicted probability of pneumonia, called so from {evaluation.chosen.threshold:.3f} on."
    )
    cell_height = 0.4 + WIDTH / COLUMNS * float(np.clip(pixels.shape[1] / max(1, pixels.shape[2]), 0.3, 3))
    figure = _canvas(
        0.95 + 0.36 * len(bands) + cell_height * sum(rows), "Scans with actual and predicted label", subtitle
    )
    parts = figure.subfigures(
        len(bands), 1, height_ratios=[0.36 + cell_height * count for count in rows], squeeze=False
    )
    for part, (heading, mask, color), count in zip(parts[:, 0], bands, rows, strict=True):
        part.suptitle(heading, x=0.012, ha="left", color=color, fontsize=TEXT + 1, fontweight="bold")
        cells = part.subplots(count, COLUMNS, squeeze=False).ravel()
        for cell in cells:
            cell.axis("off")
        for cell, place in zip(cells, np.flatnonzero(mask), strict=False):
            _scan(cell, pixels[place], scans.iloc[place], color)
        if not mask.any():
            cells[0].text(0, 0.5, "none", color=FAINT, fontsize=TEXT)
    return figure


def roc_curve(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show sensitivity against false alarms at every threshold, with the chosen one and 0.5 marked."""
    y, p = labels_and_scores(scores)
    cuts = metrics.ranking(y, p, metrics.unit_weights(len(y)))
    figure = _canvas(6.6, "ROC curve", _subtitle(evaluation))
    axes = _axes(figure.subplots(), "1 - specificity (normal scans called pneumonia)", "sensitivity (pneumonia found)")
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    false_alarms, found = (np.append(0, part[0] / part[0, -1]) for part in (cuts.fp, cuts.tp))
    axes.plot(false_alarms, found, color=BLUE, linewidth=2, label=f"AUC {_words(evaluation, 'auc')}")
    for name, point, marker in _points(evaluation):
        at = {key: point.figures[key].value for key in ("sensitivity", "specificity")}
        words = f"{point.threshold:.3f}: sensitivity {at['sensitivity']:.3f}, specificity {at['specificity']:.3f}"
        axes.plot(1 - at["specificity"], at["sensitivity"], label=f"{name} {words}", **marker)
    axes.legend(loc="lower right", fontsize=SMALL, frameon=False)
    return _unit_square(figure, axes)


def precision_recall(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show precision against sensitivity at every threshold, with the chosen one and 0.5 marked."""
    y, p = labels_and_scores(scores)
    cuts = metrics.ranking(y, p, metrics.unit_weights(len(y)))
    tp, fp = cuts.tp[0], cuts.fp[0]
    precision, recall = tp / (tp + fp), tp / tp[-1]
    figure = _canvas(6.6, "Precision and recall", _subtitle(evaluation))
    axes = _axes(figure.subplots(), "recall (sensitivity)", "precision (called pneumonia that is)")
    share = evaluation.prevalence
    axes.axhline(share, color=GRAY, linewidth=1, linestyle=(0, (4, 3)), label=f"all called pneumonia: {share:.3f}")
    words = f"average precision {_words(evaluation, 'average_precision')}"
    axes.step(
        np.append(0, recall), np.append(precision[0], precision), where="pre", color=BLUE, linewidth=2, label=words
    )
    for name, point, marker in _points(evaluation):
        found, alarms = point.confusion["tp"], point.confusion["fp"]
        if found + alarms:  # where nothing is called pneumonia, there is no precision to mark
            at, kept = point.figures["sensitivity"].value, found / (found + alarms)
            label = f"{name} {point.threshold:.3f}: recall {at:.3f}, precision {kept:.3f}"
            axes.plot(at, kept, label=label, **marker)
    axes.legend(loc="lower left", fontsize=SMALL, frameon=False)
    return _unit_square(figure, axes)


def calibration(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show how often scans of each predicted probability are pneumonia, and how many scans each bin holds."""
    y, p = labels_and_scores(scores)
    bins = reliability(y, p, evaluation.bins)
    words = [f"{name.replace('_', ' ')} {_words(evaluation, name)}" for name in ("calibration_error", "brier")]
    figure = _canvas(7.2, "Calibration", f"{_subtitle(evaluation)}\n{', '.join(words)}")
    above, below = figure.subplots(2, 1, height_ratios=[3.4, 1], sharex=True)
    _axes(above, "", "share that is pneumonia")
    above.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    above.vlines(bins.predicted, bins.predicted, bins.observed, color=ACCENT, linewidth=1.4, label="gap")
    held = bins.scans[bins.filled]
    sizes = 25 + 250 * held / held.max()  # few scans, small dot: a wide gap there means little
    above.scatter(
        bins.predicted, bins.observed, sizes, BLUE, clip_on=False, zorder=3, label="bin, larger with more scans"
    )
    above.legend(loc="best", fontsize=SMALL, frameon=False, markerscale=0.6)
    above.set(xlim=(0, 1), ylim=(0, 1))
    _axes(below, "predicted probability of pneumonia", "scans")
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
    figure = _canvas(4.2, "Learning curves", f"{count}, {ending} · best epoch {best} · {history['precision']}")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _axes(axes, "epoch", name)
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


def confusion_matrix(evaluation: Evaluation) -> Figure:
    """Show how many scans of each label were called what, at the chosen threshold and at 0.5."""
    figure = _canvas(4.5, "Confusion matrix", _subtitle(evaluation))
    headings = ("chosen threshold", "threshold")
    for axes, point, heading in zip(figure.subplots(1, 2), (evaluation.chosen, evaluation.half), headings, strict=True):
        counts = point.confusion
        table = ((counts["tp"], counts["fn"]), (counts["fp"], counts["tn"]))
        for row, cells in enumerate(table):
            for column, count in enumerate(cells):
                share = count / sum(cells)
                color = BLUE if row == column else ACCENT
                axes.bar(column, 0.97, 0.97, row - 0.485, color=color, alpha=0.1 + 0.9 * share)
                ink = "white" if share > 0.5 else INK
                axes.text(
                    column,
                    row - 0.07,
                    f"{count:,}",
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=17,
                    fontweight="bold",
                )
                axes.text(column, row + 0.2, f"{share:.1%} of row", ha="center", va="center", color=ink, fontsize=SMALL)
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), xticks=[0, 1], yticks=[0, 1], aspect="equal")
        axes.set_xticklabels([f"called\n{label}" for label in (PNEUMONIA, NORMAL)])
        axes.set_yticklabels(
            [f"{label}\n({sum(cells):,})" for label, cells in zip((PNEUMONIA, NORMAL), table, strict=True)]
        )
        axes.tick_params(length=0, labelsize=TEXT, colors=INK)
        axes.spines[:].set_visible(False)
        axes.set_title(f"{heading} {point.threshold:.3f}", loc="left", fontsize=TEXT + 1, color=INK)
    return figure


def score_distribution(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Show the scores of pneumonia and of normal scans, and which of them fall on the wrong side of the threshold."""
    y, p = labels_and_scores(scores)
    threshold = evaluation.chosen.threshold
    figure = _canvas(5.6, "Scores by label", _subtitle(evaluation))
    panels = figure.subplots(2, 1, sharex=True)
    for axes, label, mask in zip(panels, (PNEUMONIA, NORMAL), (y, ~y), strict=True):
        _axes(axes, "predicted probability of pneumonia" if label == NORMAL else "", f"{label} scans")
        wrong = (p >= threshold) != y
        values, color = [p[mask & ~wrong], p[mask & wrong]], [BLUE if label == PNEUMONIA else GRAY, ACCENT]
        axes.hist(values, bins=np.linspace(0, 1, 41), stacked=True, color=color, edgecolor="white", linewidth=0.5)
        axes.axvline(threshold, color=INK, linewidth=1.2)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        called = NORMAL if label == PNEUMONIA else PNEUMONIA
        words = f"{(mask & wrong).sum():,} of {mask.sum():,} {label} scans called {called}"
        axes.set_title(words, loc="left", fontsize=TEXT, color=ACCENT)
        axes.set_xlim(0, 1)
    panels[0].set_title(f"threshold {threshold:.3f}", loc="right", fontsize=TEXT, color=INK)
    return figure


def drift_distributions(drift: Drift, values: Mapping[str, Sequence[NDArray[np.float64]]]) -> Figure:
    """Show each feature of new scans over the same feature of the scans that the model was made from.

    Args:
        drift: The comparison.
        values: By feature: the reference's values and the new scans', float (n,) each.
    """
    rows = -(-len(values) // 2)
    told = any(shift.alarm is not None for shift in drift.current.values())
    calm = "no alarm" if told else "too few scans to tell"
    alarms = f"alarm: {', '.join(drift.alarms).replace('_', ' ')}" if drift.alarms else calm
    scans = max(len(now) for _, now in values.values())
    figure = _canvas(0.9 + 2.2 * rows, "New scans and the model's own", f"{scans:,} new scans · {alarms}")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes in panels[len(values) :]:
        axes.axis("off")
    for axes, (feature, (then, now)) in zip(panels, values.items(), strict=False):
        shift = drift.current[feature]
        _axes(axes, feature.replace("_", " "), "share of scans")
        low, high = np.quantile(np.concatenate([then, now]), [0.001, 0.999])
        bins = np.linspace(low, high, 31) if high > low else np.linspace(low - 1, low + 1, 31)
        inside = [np.clip(part, bins[0], bins[-1]) for part in (then, now)]
        own = SPLITS["validation" if feature == "p_pneumonia" else "train"]
        color = ACCENT if shift.alarm else BLUE
        share = [np.full(len(part), 1 / len(part)) for part in inside]
        axes.hist(inside[0], bins=bins, weights=share[0], color=GRAY, alpha=0.6, label=own)
        axes.hist(inside[1], bins=bins, weights=share[1], color=color, histtype="step", linewidth=1.6, label="new")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_title(f"PSI {shift.psi:.2f}, KS {shift.ks:.2f}", loc="left", fontsize=TEXT, color=color)
        axes.legend(loc="best", fontsize=SMALL - 1, frameon=False)
    return figure


def _canvas(height: float, title: str, subtitle: str) -> Figure:
    """Make an empty figure with a title and a subtitle at its top left; `height` is in inches."""
    head = 0.7 + 0.19 * subtitle.count("\n")
    layout = ConstrainedLayoutEngine(rect=(0.005, 0.01, 0.99, 1 - head / height - 0.01))
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout, facecolor="white")
    figure.text(0.1 / WIDTH, 1 - 0.12 / height, title, va="top", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.1 / WIDTH, 1 - 0.42 / height, subtitle, va="top", fontsize=TEXT, color=FAINT, linespacing=1.3)
    return figure


def _axes(axes: Axes, x: str, y: str) -> Axes:
    axes.set_xlabel(x, color=INK, fontsize=TEXT)
    axes.set_ylabel(y, color=INK, fontsize=TEXT)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=SMALL, colors=FAINT)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set(visible=True, color=GRAY)
    return axes


def _unit_square(figure: Figure, axes: Axes) -> Figure:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    return figure


def _scan(cell: Axes, pixels: NDArray[np.uint8], scan: pd.Series, color: str) -> None:
    cell.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    words = f"actual {scan['label']}\ncalled {scan['predicted']} {scan['p_pneumonia']:.2f}"
    cell.set_title(words, fontsize=SMALL - 1, color=color, loc="left", pad=3)


def _subtitle(evaluation: Evaluation) -> str:
    split = SPLITS.get(evaluation.split, evaluation.split)
    people = f"{evaluation.scans:,} scans of {evaluation.patients:,} patients"
    return f"{split}: {people}, {evaluation.prevalence:.1%} pneumonia"


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
