"""A run's scans as pictures: right, wrong and referred ones, the same on every machine."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.decision.referral import confidence
from xray.evaluation.metrics.split_metrics import Evaluation
from xray.evaluation.plots.style import ACCENT, FAINT, INK, SMALL, TEXT, WIDTH, canvas, subtitle_of
from xray.labels import REFER, finding_in, p_column

COLUMNS = 5
RIGHT, WRONG, REFERRED = "Right", "Wrong", "Referred"
BANDS = {
    RIGHT: ("random sample", INK),
    WRONG: ("most confident first", ACCENT),
    REFERRED: ("referred to a person, random sample", FAINT),
}
"""What can become of a scan, with how those shown are chosen and the colour of their heading."""


def choose_scans(scores: pd.DataFrame, threshold: float, most: int = 10) -> pd.DataFrame:
    """Choose scans to show: up to `most` right ones as by lot, the `most` most confidently wrong, and referred ones.

    Right ones are half normal, half with the finding where there are enough, in the order of their digests: a draw by
    lot that is the same on every machine. Wrong ones are ordered by how far they are past the threshold, as a
    share of how far they could be. Referred ones are random sample, in the order of their digests.

    Args:
        scores: A row a scan: image_id, sha256, label, p_FINDING, decision.
        threshold: 0 to 1.
        most: Scans a band.

    Returns:
        The chosen rows with a `band` column, one of `BANDS`, in this order.

    Raises:
        EvaluationError: A column is missing.
    """
    column = p_column(finding_in(scores.columns))
    needed = ("image_id", "sha256", "label", column, "decision")
    if missing := set(needed) - set(scores.columns):
        raise EvaluationError(f"scores must have {', '.join(needed)}. Missing: {sorted(missing)}")
    by_lot = scores.sort_values(["sha256", "image_id"])
    refer, right = by_lot["decision"] == REFER, by_lot["decision"] == by_lot["label"]
    past = confidence(by_lot[column].to_numpy(dtype=np.float64), threshold)
    wrong = by_lot.assign(past=past)[~right & ~refer].sort_values(["past", "image_id"], ascending=[False, True])
    drawn = by_lot[right]
    turn = drawn.groupby("label").cumcount()  # first of each label, second of each label, …
    shown = drawn.assign(turn=turn).sort_values(["turn", "label"], kind="stable").head(most)
    parts = {
        RIGHT: shown.sort_values("label", kind="stable").drop(columns="turn"),
        WRONG: wrong.head(most).drop(columns="past"),
        REFERRED: by_lot[refer].head(most),
    }
    return pd.concat([part.assign(band=band) for band, part in parts.items()], ignore_index=True)


def called(scan: pd.Series) -> str:
    """Write what a scan is and what became of it, on two lines."""
    words = "referred" if scan["decision"] == REFER else f"called {scan['decision']}"
    return f"actual {scan['label']}\n{words} {scan[p_column(finding_in(scan.index))]:.2f}"


def scan_grid(pixels: NDArray[np.uint8], scans: pd.DataFrame, outcomes: Outcomes, evaluation: Evaluation) -> Figure:
    """Show scans with what they are and what became of them: right, wrong and referred ones.

    Args:
        pixels: uint8 (n, height, width), 0 to 255, in the order of `scans`.
        scans: The n rows of `choose_scans`.
        outcomes: What became of all scans of the split.
        evaluation: Of the split that the scans are from.

    Raises:
        EvaluationError: There is not one picture for each row.
    """
    if len(pixels) != len(scans):
        raise EvaluationError(f"pixels must be one image per scan. Received: {len(pixels)} for {len(scans)} scans")
    counts = {RIGHT: outcomes.right, WRONG: outcomes.wrong, REFERRED: outcomes.referred}
    places = {band: np.flatnonzero(scans["band"] == band) for band in BANDS}
    aspect = float(np.clip(pixels.shape[1] / max(1, pixels.shape[2]), 0.3, 3))
    row, head = 0.4 + WIDTH / COLUMNS * aspect, 0.36
    heights = [head + (row * -(-len(each) // COLUMNS) or 0.1) for each in places.values()]
    words = f"{subtitle_of(evaluation)}\nThe number is the predicted probability of {evaluation.finding}."
    figure = canvas(0.95 + sum(heights), "Scans with label and decision", words)
    parts = figure.subfigures(len(BANDS), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (band, (how, color)) in zip(parts, BANDS.items(), strict=True):
        heading = f"{band} ({counts[band]:,} of {evaluation.scans:,}){f', {how}' if len(places[band]) else ''}"
        part.suptitle(heading, x=0.012, ha="left", color=color, fontsize=TEXT + 1, fontweight="bold")
        if not len(places[band]):
            continue
        cells = part.subplots(-(-len(places[band]) // COLUMNS), COLUMNS, squeeze=False).ravel()
        for cell in cells:
            cell.axis("off")
        for cell, place in zip(cells, places[band], strict=False):
            _scan(cell, pixels[place], scans.iloc[place], INK if band == REFERRED else color)
    return figure


def _scan(cell: Axes, pixels: NDArray[np.uint8], scan: pd.Series, color: str) -> None:
    cell.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    cell.set_title(called(scan), fontsize=SMALL - 1, color=color, loc="left", pad=3)
