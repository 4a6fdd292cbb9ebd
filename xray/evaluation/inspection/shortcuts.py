"""Whether a model needs the lungs: its metrics without them, and whether its features contain the source.

Networks told COVID-19 from other scans with the lungs painted black (Maguolo and Nanni, "A critic evaluation of methods
for COVID-19 automatic detection from X-ray images", Information Fusion 2021): what they had learnt was the source. A
model that passes may still use shortcuts within the centre, and its border also holds what belongs to the disease: how
a patient is placed, and how the film is exposed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.evaluation.inspection.linear_probe import Probe
from xray.evaluation.inspection.perturbations import SHORTCUTS
from xray.evaluation.inspection.robustness import UNCHANGED, Predict, Robustness, robustness, spoken

LUNGLESS_MARGIN = 0.05
"""A model must be shown to lose at least this much AUC without the lungs. It is what the promotion policy allows one
model to be worse than another: a model that loses less is, by that rule, as good without lungs as with them."""

COLUMNS = ("visible part", "auc", "loss of auc")
"""What the columns of `Shortcuts.rows` hold."""

_LUNGLESS = "centre_masked"


@dataclass(frozen=True)
class Verdict:
    """Whether a model is marked as one that hardly needs the lungs, and why, in words."""

    marked: bool
    why: str

    def __str__(self) -> str:
        """Write the reason, which includes the result."""
        return self.why


@dataclass(frozen=True)
class Shortcuts:
    """A model on scans without what a diagnosis rests on.

    Attributes:
        masked: Its figures on scans with the centre masked, the border masked, and blurred.
        probe: How well its features tell sources apart.
    """

    masked: Robustness
    probe: Probe

    @property
    def verdict(self) -> Verdict:
        """Mark the model unless it is shown, at 95 %, to lose at least `LUNGLESS_MARGIN` of AUC without the lungs."""
        figures = self.masked.figures
        auc, loss = figures[f"{_LUNGLESS}.auc"], figures[f"{_LUNGLESS}.auc_loss"]
        marked = loss.low is None or loss.low < LUNGLESS_MARGIN
        words = (
            f"with the middle of each scan, and so the lungs, painted gray, the AUC changes from "
            f"{figures[f'{UNCHANGED}.auc'].value:.3f} to {auc.value:.3f}, a loss of {loss}; a loss of at least "
            f"{LUNGLESS_MARGIN:g}, at 95 %, "
        )
        words += "is not shown, so it may not need the lungs" if marked else "is shown, so it needs the lungs"
        if auc.low is not None and auc.low > 0.5:
            words += f"; what is left, {auc}, is better than guessing (0.5): the image's border is informative"
        return Verdict(marked, words)

    def flat(self, prefix: str) -> dict[str, float]:
        """Give every number as MLflow names it: `shortcut.centre_masked.auc`, and `shortcut.marked`, 0 or 1."""
        marked = {f"{prefix}.marked": float(self.verdict.marked)}
        return {**self.masked.flat(prefix), **self.probe.flat(prefix), **marked}

    def rows(self) -> list[tuple[str, str, str]]:
        """Write the figures in words, a row for each kind of scan, under `COLUMNS`; sources are `probe.rows()`."""
        figures = self.masked.figures
        rows = [("the whole scan", str(figures[f"{UNCHANGED}.auc"]), "")]
        for change in self.masked.changes:
            rows.append((spoken(change), str(figures[f"{change}.auc"]), str(figures[f"{change}.auc_loss"])))
        return rows


def shortcuts(
    predict: Predict,
    pixels: NDArray[np.uint8],
    scores: pd.DataFrame,
    threshold: float,
    probed: Probe,
    evaluation: config.Evaluation,
) -> Shortcuts:
    """Measure a model on scans with the centre masked, with the border masked, and blurred.

    Arguments and errors are as for `robustness`; `probed` comes from `linear_probe.probe`.
    """
    return Shortcuts(robustness(predict, pixels, scores, threshold, evaluation, SHORTCUTS), probed)
