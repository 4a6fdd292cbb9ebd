"""The drift report of a run over an inbox: its scans measured, compared with the model's reference, and drawn."""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xray import config
from xray.data.decoding import scan_files
from xray.data.decoding.image_decoder import normalize, normalizer_digest
from xray.data.decoding.image_statistics import image_statistics
from xray.data.decoding.parallel_decode import cores
from xray.data.sources.file_listing import named
from xray.errors import ImageError
from xray.evaluation.drift.drift_plot import drift_distributions
from xray.evaluation.drift.reference import Reference
from xray.evaluation.drift.statistics import Drift, drift
from xray.files.artifact_folder import kept_json, write_folder
from xray.files.checked_io import read_parquet
from xray.scoring.score_ledger import Entry

log = logging.getLogger(__name__)

NO_REFERENCE = "no drift report: this model's run has no reference; train again to get one"
OTHER_NORMALIZER = "image statistics are not compared: this model's normalizer differs from this version's"


@dataclass(frozen=True)
class DriftReport:
    """A finished report on disk.

    Attributes:
        entry: The run in the ledger that it is about.
        folder: Holds `drift.json`, `figures/drift.png` where something was compared, and `manifest.json`.
    """

    entry: Entry
    folder: Path

    def values(self) -> dict[str, Any]:
        """Read `remark` (a line, or null), `metrics`, `rows` (the table, in words), `alarms`, `current`, `control`."""
        return kept_json(self.folder, "drift.json")

    def plots(self) -> list[Path]:
        """List the pictures, PNG files."""
        return sorted((self.folder / "figures").glob("*.png"))


def report_drift(entry: Entry, inbox: Path, reference: Path | None, settings: config.Drift) -> DriftReport:
    """Compare the scans of a run with the model's reference and write the report beside their scores.

    Args:
        entry: The run in the ledger.
        inbox: Where its scans lie.
        reference: The model's reference; None where its run keeps none.
        settings: The alarm's limit, and how many scans are looked at.

    Raises:
        StoreError: The reference cannot be read, or the report cannot be written.
    """
    folder = entry.folder / f"drift-{entry.name}"

    def fill(draft: Path) -> dict[str, Any]:
        found, remark = Drift({}, {}), None
        if reference is None:
            remark = NO_REFERENCE
        elif entry.scans:
            own = Reference.read(reference)
            same = normalizer_digest(own.images) == own.normalizer
            remark = None if same else OTHER_NORMALIZER
            scans = _measured(entry, inbox, own.score, own.images if same else None, settings.most_scans)
            found = drift(own, scans, settings)
            values = {name: (own.values(name), scans[name].dropna().to_numpy()) for name in found.current}
            (draft / "figures").mkdir()
            drift_distributions(found, values).savefig(draft / "figures" / "drift.png")
        content = {
            "remark": remark,
            "metrics": found.flat(),
            "rows": found.rows(),
            "alarms": found.alarms,
            **found.values(),
        }
        (draft / "drift.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        return {"run": entry.name, "settings": settings.model_dump()}

    write_folder(folder, fill)
    report = DriftReport(entry, folder)
    if report.values()["remark"]:
        log.warning("%s", report.values()["remark"])
    return report


def _measured(entry: Entry, inbox: Path, score: str, images: config.Images | None, most: int) -> pd.DataFrame:
    """Measure scans of a run: those with the first digests, which is a draw by lot."""
    scans = read_parquet(entry.scores).sort_values("sha256").head(most).reset_index(drop=True)
    scored = scans.reindex(columns=[score]).astype("float64")
    if images is None:
        return scored
    return scored.join(pd.DataFrame(_looks([inbox / named(name) for name in scans["image"]], images)))


def _looks(files: Sequence[Path], images: config.Images) -> list[dict[str, float]]:
    def look(file: Path) -> dict[str, float]:
        try:
            with scan_files.content(file) as data:
                scan = normalize(data, images)
        except (OSError, ImageError):  # taken away since it was scored
            return {}
        return {**asdict(image_statistics(scan.pixels)), "width": float(scan.width), "height": float(scan.height)}

    with ThreadPoolExecutor(cores()) as threads:
        return list(threads.map(look, files))
