"""Inspection of an evaluated network: slices, changed scans, shortcuts, and maps."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xray.config import Config
from xray.data.catalog import Catalog
from xray.data.decoding.image_statistics import image_statistics
from xray.data.store.pixel_store import PixelStore
from xray.evaluation.compute_evaluation import SCANS_AT_ONCE
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.inspection import linear_probe, robustness, shortcuts, slices
from xray.evaluation.inspection.audit_plots import robustness_picture, slices_picture
from xray.evaluation.inspection.saliency import evidence_maps
from xray.evaluation.inspection.saliency_focus import Focus, focus
from xray.evaluation.inspection.saliency_plots import explanation_grid
from xray.evaluation.inspection.saliency_sanity import Sanity, sanity_check
from xray.evaluation.inspection.weak_points import weak_points
from xray.evaluation.plots.scan_grid import choose_scans
from xray.labels import p_column
from xray.table import Table
from xray.training.fit import Trained
from xray.training.predict import predict

MAPS_A_BAND = 4
"""Right, wrong and referred scans, each, whose maps are shown."""

MAPS_BY_LOT = 100
"""TEST scans at most whose maps' brightest spots are compared: seconds on two cores, and far more than chance needs."""


def write_inspection(
    folder: Path,
    trained: Trained,
    evaluated: Evaluated,
    catalog: Catalog,
    store: PixelStore,
    config: Config,
    said: Callable[[str], None],
) -> None:
    """Write an inspection's files into a folder.

    Args:
        folder: Becomes what `inspect.Inspected` says, but for its manifest.
        trained: The training.
        evaluated: Its evaluation, whose TEST scores and reading are taken.
        catalog: The scans.
        store: Their pixels.
        config: Seeds and draws.
        said: Called with the part that begins.

    Raises:
        EvaluationError: The scores are not those of this network.
    """
    scores = evaluated.scores()
    test = scores[scores["split"] == "test"].reset_index(drop=True)
    seen = _Subject(
        network=keras.models.load_model(trained.model, compile=False),
        reading=evaluated.reading(),
        scores=test,
        pixels=store.read(test["sha256"].tolist()),
    )
    report, plots = _look(seen, catalog, store, config, said)
    (folder / "inspection.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    (folder / "figures").mkdir()
    for name, picture in plots.items():
        picture.savefig(folder / "figures" / f"{name}.png")


@dataclass(frozen=True)
class _Subject:
    """A network and the TEST scans of its inspection, pixels in the order of `scores`."""

    network: keras.Model
    reading: DecisionRule
    scores: pd.DataFrame
    pixels: NDArray[np.uint8]

    @property
    def predict(self) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
        """Give the probability of the finding as it is used, from pixels."""
        column = p_column(self.reading.finding)
        return lambda pixels: self.reading.read(predict(self.network, pixels))[column].to_numpy()


def _look(
    seen: _Subject, catalog: Catalog, store: PixelStore, config: Config, said: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Figure]]:
    threshold, evaluation = seen.reading.threshold, config.evaluation
    said("slices of the scans")
    parts = slices.slices(seen.scores, threshold, _image_features(seen, catalog), evaluation)
    said("changed scans")
    changed = robustness.robustness(seen.predict, seen.pixels, seen.scores, threshold, evaluation)
    said("sources")
    probed = linear_probe.probe(*_features(seen.network, catalog, store), evaluation)
    said("without lungs")
    short = shortcuts.shortcuts(seen.predict, seen.pixels, seen.scores, threshold, probed, evaluation)
    said("maps")
    sane, maps = _maps(seen, config)
    spots = _focus(seen)
    tables: dict[str, Table] = {
        "Slices of the scans": Table(slices.COLUMNS, parts.rows()),
        "Changed scans: loss of each metric": Table(robustness.COLUMNS, changed.rows()),
        "Without lungs": Table(shortcuts.COLUMNS, short.rows()),
        "Source predicted from the features": Table(linear_probe.COLUMNS, probed.rows()),
    }
    metrics = parts.flat("slices") | changed.flat("robustness") | short.flat("shortcut")
    if sane.similarity is not None:
        metrics |= {"maps.similarity": sane.similarity, "maps.passed": float(bool(sane.passed))}
    report = {
        "metrics": metrics | {"maps.together": spots.together, "maps.outside": spots.outside},
        "tables": tables,
        "verdicts": {"shortcuts": str(short.verdict), "brightest spots": str(spots), "maps": str(sane)},
        "weak": weak_points(parts, changed, short, spots, seen.reading.finding),
    }
    plots = {"maps": maps, "robustness": robustness_picture(changed), "slices": slices_picture(parts)}
    return report, plots


def _image_features(seen: _Subject, catalog: Catalog) -> pd.DataFrame:
    rows = catalog.rows("test")[["sha256", "width", "height"]].drop_duplicates("sha256")
    bright = {
        digest: image_statistics(pixels).brightness
        for digest, pixels in zip(seen.scores["sha256"], seen.pixels, strict=True)
    }
    return rows.assign(brightness=rows["sha256"].map(bright))


def _features(network: keras.Model, catalog: Catalog, store: PixelStore) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Read the features of all TRAIN scans, where the rare sources are."""
    rows = catalog.rows()
    rows = rows[rows["split"] != "test"].reset_index(drop=True)
    parts = [
        linear_probe.features(network, store.read(rows["sha256"].iloc[start : start + SCANS_AT_ONCE].tolist()))
        for start in range(0, len(rows), SCANS_AT_ONCE)
    ]
    return np.concatenate(parts), rows[["patient_id", "label", "source"]]


def _focus(seen: _Subject) -> Focus:
    """Compare the maps of a random sample of TEST scans, the same on every machine."""
    places = np.argsort(seen.scores["sha256"].to_numpy(dtype=str), kind="stable")[:MAPS_BY_LOT]
    return focus(evidence_maps(seen.network, seen.pixels[places]))


def _maps(seen: _Subject, config: Config) -> tuple[Sanity, Figure]:
    chosen = choose_scans(seen.scores, seen.reading.threshold, most=MAPS_A_BAND)
    places = [int(np.flatnonzero(seen.scores["image_id"] == image)[0]) for image in chosen["image_id"]]
    pixels = seen.pixels[places]
    sane = sanity_check(seen.network, pixels, config.evaluation.seed)
    return sane, explanation_grid(pixels, evidence_maps(seen.network, pixels), chosen)
