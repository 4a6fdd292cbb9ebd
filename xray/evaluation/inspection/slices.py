"""Sensitivity and specificity of slices of the scans, and the worst slice of each.

The worst of many parts is low by chance alone, and the more so the smaller the parts are: its interval, like the
others, is not widened for that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.evaluation.metrics.multiclass import LEAST_SCANS
from xray.evaluation.metrics.split_metrics import labels_and_scores, split_of

METRICS = ("sensitivity", "specificity")
COLUMNS = ("slice", "scans", *METRICS)
"""What the columns of `Slices.rows` hold."""

Name = tuple[str, str, str]
"""Kind, name and words of a part."""

TERTILES = {"brightness": ("dark", "medium", "bright"), "size": ("small", "medium", "large")}
_MEASURES = {"brightness": "mean gray", "size": "megapixels"}


@dataclass(frozen=True)
class Slice:
    """One part of the scans.

    Attributes:
        kind: "all", "subtype", "source", "brightness", "size", or what a data set says of its scans.
        name: Among its kind.
        words: What it holds, for a reader.
        counts: For each of `METRICS`, the scans it is a share of: scans with the finding, normal scans.
        figures: 0 to 1 each; none that would be a share of fewer than `LEAST_SCANS` scans.
    """

    kind: str
    name: str
    words: str
    counts: Mapping[str, int]
    figures: Mapping[str, Estimate]

    def cell(self, figure: str) -> str:
        """Write one of `METRICS`, or that too few scans stand behind it; nothing where none do."""
        scans = self.counts[figure]
        if not scans or figure in self.figures:
            return str(self.figures.get(figure, ""))
        return f"{scans} scan{'' if scans == 1 else 's'}, too few"


@dataclass(frozen=True)
class Slices:
    """How a model does on each part of a split.

    Attributes:
        split: "train", "validation" or "test".
        scans: Number of scans.
        patients: Number of patients.
        threshold: 0 to 1, the model's stored one.
        whole: All scans.
        parts: Parts of them, in order of kind. A scan is in one part of each kind.
    """

    split: str
    scans: int
    patients: int
    threshold: float
    whole: Slice
    parts: tuple[Slice, ...]

    def worst(self, figure: str) -> Slice | None:
        """Name the part with the lowest value of one of `METRICS`, of equals the first; None without a true part."""
        true_parts = [part for part in self.parts if 0 < part.counts[figure] < self.whole.counts[figure]]
        evaluated = [part for part in true_parts if figure in part.figures]
        return min(evaluated, key=lambda part: part.figures[figure].value, default=None)

    def flat(self, prefix: str) -> dict[str, float]:
        """Give every number as MLflow names it: `slices.subtype.viral.sensitivity`, with `_low` and `_high`.

        `slices.worst.sensitivity` is that of the part it is worst on.
        """
        named = {
            f"{part.kind}.{part.name}.{figure}": each for part in self.parts for figure, each in part.figures.items()
        }
        worst = {figure: part.figures[figure] for figure in METRICS if (part := self.worst(figure))}
        return flat_estimates(prefix, {**named, **{f"worst.{figure}": each for figure, each in worst.items()}})

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Write the table in words, a row a part and one for the worst, under `COLUMNS`."""
        rows = []
        for part in (self.whole, *self.parts):
            cells = [part.cell(figure) for figure in METRICS]
            rows.append((part.words, f"{sum(part.counts.values()):,}", cells[0], cells[1]))
        worst = [self.worst(figure) for figure in METRICS]
        names = ["none" if part is None else part.words for part in worst]
        return [*rows, ("worst slice", "", names[0], names[1])]


def slices(scores: pd.DataFrame, threshold: float, looks: pd.DataFrame, evaluation: config.Evaluation) -> Slices:
    """Evaluate a model on slices of the scans, with 95 % intervals by patient.

    Parts are subtypes, sources, thirds by brightness and thirds by image size (left out where all scans have one).

    Args:
        scores: A row a scan: sha256, patient_id, label, subtype, source, split (one and the same), p_FINDING
            (0 to 1).
        threshold: 0 to 1, the model's stored one.
        looks: A row for each sha256: brightness (mean gray of the normalized scan, 0 to 255), width and height (pixels
            of the file).
        evaluation: Seed and draws.

    Raises:
        EvaluationError: The scores cannot be evaluated, are of several splits, or a scan has no row in `looks`.
    """
    return sliced(scores, threshold, dict(_parts(scores, _looks_of(scores, looks))), evaluation)


def sliced(
    scores: pd.DataFrame, threshold: float, parts: Mapping[Name, NDArray[np.bool_]], evaluation: config.Evaluation
) -> Slices:
    """Evaluate a model on parts of the scans, as `slices` does.

    Args:
        scores: As for `slices`.
        threshold: 0 to 1, the model's stored one.
        parts: By kind, name and words: bool (n,), which scans each holds.
        evaluation: Seed and draws.

    Raises:
        EvaluationError: The scores cannot be evaluated, or are of several splits.
    """
    y, p = labels_and_scores(scores)
    metrics.check(y, p, threshold)
    split = split_of(scores)
    masks = {("all", "all", "all scans"): np.ones(len(y), dtype=bool), **parts}
    estimates = _estimates(y, p, threshold, list(masks.values()), scores["patient_id"].tolist(), evaluation)
    whole, *found_parts = (
        Slice(kind, name, words, _counts(y, mask), found)
        for ((kind, name, words), mask), found in zip(masks.items(), estimates, strict=True)
    )
    return Slices(split, len(scores), int(scores["patient_id"].nunique()), threshold, whole, tuple(found_parts))


Part = tuple[Name, NDArray[np.bool_]]
"""A part's name, and bool (n,), which scans it holds."""


def _parts(scores: pd.DataFrame, looks: pd.DataFrame) -> Iterator[Part]:
    for kind in ("subtype", "source"):
        for name in sorted(scores[kind].unique()):
            yield (kind, name, f"{kind} {name}"), (scores[kind] == name).to_numpy(dtype=bool)
    yield from _thirds("brightness", looks["brightness"].to_numpy(dtype=np.float64))
    yield from _thirds("size", looks["width"].to_numpy(dtype=np.float64) * looks["height"].to_numpy() / 1e6)


def _thirds(kind: str, values: NDArray[np.float64]) -> Iterator[Part]:
    """Cut scans into thirds by value; equal values stay together, so a third may be missing."""
    if values.min() == values.max():
        return
    edges = np.quantile(values, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, values)  # a value on an edge lies below it
    for place, name in enumerate(TERTILES[kind]):
        mask = third == place
        if mask.any():
            bounds = " to ".join(dict.fromkeys(f"{end:.3g}" for end in (values[mask].min(), values[mask].max())))
            yield (kind, name, f"{name} ({_MEASURES[kind]} {bounds})"), mask


def _looks_of(scores: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    """Put the image statistics in the order of the scores; copies of a scan share a row."""
    found = looks.drop_duplicates("sha256").set_index("sha256")
    unknown = set(scores["sha256"]) - set(found.index)
    if unknown:
        raise EvaluationError(f"looks must have a row for each scan. Received: {len(unknown)} scans without")
    return found.loc[scores["sha256"].tolist(), ["brightness", "width", "height"]]


def _counts(y: NDArray[np.bool_], mask: NDArray[np.bool_]) -> dict[str, int]:
    return {"sensitivity": int((mask & y).sum()), "specificity": int((mask & ~y).sum())}


def _estimates(
    y: NDArray[np.bool_],
    p: NDArray[np.float64],
    threshold: float,
    masks: list[NDArray[np.bool_]],
    patients: list[str],
    evaluation: config.Evaluation,
) -> list[dict[str, Estimate]]:
    """Give each part's figures, of those that enough scans stand behind."""

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found: dict[str, NDArray[np.float64]] = {}
        for number, mask in enumerate(masks):
            figures = metrics.decision_figures(y[mask], p[mask], threshold, weights[:, mask])
            found |= {f"{number} {figure}": figures[figure] for figure in METRICS}
        return found

    found = bootstrap(statistics, patients, evaluation.seed, evaluation.bootstrap_draws)
    return [
        {
            figure: estimate
            for figure, scans in _counts(y, mask).items()
            if scans >= LEAST_SCANS and (estimate := found[f"{number} {figure}"]) is not None
        }
        for number, mask in enumerate(masks)
    ]
