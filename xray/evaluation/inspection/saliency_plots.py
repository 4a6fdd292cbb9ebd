"""Scans beside their maps of evidence: a chosen set of a run's scans, and a single one."""

import textwrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from xray.errors import EvaluationError
from xray.evaluation.plots.scan_grid import BANDS, called
from xray.evaluation.plots.style import FAINT, INK, SMALL, TEXT, WIDTH, canvas
from xray.labels import finding_in

PAIRS = 2
"""Scans in a row, each with its map beside it."""

COLORS = "inferno"  # even in lightness, so that no step of colour looks like a border
MOST_COVER = 0.7  # of the strongest evidence; the scan stays visible under it
READ = "Bright colour: evidence for {finding}, scaled per scan. A map is neither an outline nor a proof."
_LINE, _TITLE = 100, 60  # characters that fit


def explanation_grid(pixels: NDArray[np.uint8], maps: NDArray[np.float32], scans: pd.DataFrame) -> Figure:
    """Show scans, each with its map of evidence beside it: right, wrong and referred ones.

    Args:
        pixels: uint8 (n, height, width), 0 to 255, in the order of `scans`.
        maps: float32 (n, height, width), 0 to 1, in the same order.
        scans: The n rows of `choose_scans`.

    Raises:
        EvaluationError: There is not one picture and one map for each row.
    """
    if not len(scans) == len(pixels) == len(maps):
        raise EvaluationError(
            f"pixels and maps must be one a scan. Received: {len(pixels)} and {len(maps)} for {len(scans)} scans"
        )
    bands = {name: np.flatnonzero(scans["band"] == name) for name in BANDS}
    aspect = float(np.clip(pixels.shape[1] / max(1, pixels.shape[2]), 0.3, 3))
    row, head, scale = 0.4 + 0.94 * WIDTH / (2 * PAIRS) * aspect, 0.36, 0.6
    heights = [head + (row * -(-len(places) // PAIRS) or 0.25) for places in bands.values()]
    finding = finding_in(scans.columns)
    heading = f"Where the model finds evidence for {finding}"
    figure = canvas(0.95 + scale + sum(heights), heading, READ.format(finding=finding))
    parts = figure.subfigures(len(bands) + 1, 1, height_ratios=[scale, *heights], squeeze=False)[:, 0]
    _scale(parts[0], finding)
    for part, (name, places) in zip(parts[1:], bands.items(), strict=True):
        how, color = BANDS[name]
        words = f"{name}, {how}" if len(places) else f"{name}: none"
        part.suptitle(words, x=0.012, ha="left", color=color, fontsize=TEXT + 1, fontweight="bold")
        if len(places):
            _pairs(part, pixels[places], maps[places], [called(scan) for _, scan in scans.iloc[places].iterrows()])
    return figure


def scan_explanation(
    pixels: NDArray[np.uint8], heat: NDArray[np.float32], title: str, words: str, finding: str
) -> Figure:
    """Show one scan with its map of evidence beside it.

    Args:
        pixels: uint8 (height, width), 0 to 255.
        heat: float32 (height, width), 0 to 1.
        title: The scan's name.
        words: What the model says of it; its lines stand under the title.
        finding: What the map is the evidence for.
    """
    lines = [
        part for line in f"{words}\n{READ.format(finding=finding)}".splitlines() for part in textwrap.wrap(line, _LINE)
    ]
    side = WIDTH / 2 * float(np.clip(pixels.shape[0] / max(1, pixels.shape[1]), 0.3, 3))
    height = 0.7 + 0.19 * len(lines) + 0.6 + side
    name = title if len(title) <= _TITLE else f"{title[: _TITLE // 2]} … {title[-_TITLE // 2 + 3 :]}"
    figure = canvas(height, _plain(name), _plain("\n".join(lines)))
    above, below = figure.subfigures(2, 1, height_ratios=[0.6, side], squeeze=False)[:, 0]
    _scale(above, finding)
    _pair(below, pixels, heat)
    return figure


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a map over its scan: the stronger the evidence, the brighter and the less transparent the colour.

    Args:
        pixels: uint8 (height, width), 0 to 255.
        heat: float32 (height, width), 0 to 1.

    Returns:
        uint8 (height, width, 3), 0 to 255, red, green and blue. Where the map is 0, the scan as it is.
    """
    color = matplotlib.colormaps[COLORS](heat)[..., :3] * 255
    cover = MOST_COVER * heat[..., np.newaxis]
    mixed = (1 - cover) * pixels[..., np.newaxis] + cover * color
    return np.rint(mixed).astype(np.uint8)


def _pairs(part: SubFigure, pixels: NDArray[np.uint8], maps: NDArray[np.float32], words: list[str]) -> None:
    cells = part.subfigures(-(-len(pixels) // PAIRS), PAIRS, squeeze=False, wspace=0.03).ravel()
    for cell, scan, heat, title in zip(cells, pixels, maps, words, strict=False):
        _pair(cell, scan, heat).set_title(title, fontsize=SMALL, color=INK, loc="left", pad=3)


def _pair(part: SubFigure, pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> Axes:
    """Draw a scan and its map side by side; give the left one's axes."""
    cells: list[Axes] = list(part.subplots(1, 2, squeeze=False)[0])
    for axes, picture in zip(cells, (pixels, overlay(pixels, heat)), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
    if not heat.any():
        cells[1].set_title("no evidence", fontsize=SMALL, color=FAINT, loc="left", pad=3)
    return cells[0]


def _scale(part: SubFigure, finding: str) -> None:
    """Draw the colour bar as the colours look over middle gray, which is what a map lies on."""
    axes = part.subplots()
    steps = np.linspace(0, 1, 256, dtype=np.float32)[np.newaxis]
    axes.imshow(overlay(np.full(steps.shape, 128, np.uint8), steps), aspect="auto", extent=(0, 1, 0, 1))
    for place, words, side in ((0, "none", "left"), (1, "maximum of this scan", "right")):
        axes.annotate(
            words, (place, 0), (0, -4), textcoords="offset points", ha=side, va="top", fontsize=SMALL, color=FAINT
        )
    axes.set_title(f"evidence for {finding}", fontsize=SMALL, color=INK, loc="left", pad=2)
    axes.set(xlim=(0, 2.4))
    axes.axis("off")


def _plain(words: str) -> str:
    """Keep a file's name from being read as a formula."""
    return words.replace("$", r"\$")
