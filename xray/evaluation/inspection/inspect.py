"""Inspect an evaluated network, or find its inspection, which needs no TensorFlow; stored with its evaluation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.config import Config, digest_of
from xray.data.catalog import Catalog
from xray.data.store.pixel_store import PixelStore
from xray.evaluation.evaluate import Evaluated
from xray.files.artifact_folder import is_whole, kept_json, write_folder
from xray.keras_import import quiet_import
from xray.training.fit import Trained

INSPECTION_VERSION = 3
"""Raised when a change of code changes a figure or a picture."""


@dataclass(frozen=True)
class Inspected:
    """A finished inspection on disk.

    Attributes:
        folder: Holds `inspection.json`, `figures/*.png` and `manifest.json`.
        reused: Whether the folder was there already.
    """

    folder: Path
    reused: bool

    def report(self) -> dict[str, Any]:
        """Read the report.

        Returns:
            `metrics`, name to number; `tables` by title, each with its columns and rows; `verdicts`, sentences.
        """
        return kept_json(self.folder, "inspection.json")

    def plots(self) -> list[Path]:
        """List the pictures, PNG files, in alphabetical order."""
        return sorted((self.folder / "figures").glob("*.png"))


def inspect(
    trained: Trained,
    evaluated: Evaluated,
    catalog: Catalog,
    store: PixelStore,
    config: Config,
    said: Callable[[str], None] | None = None,
) -> Inspected:
    """Inspect an evaluated network, or find its inspection.

    Args:
        trained: The training.
        evaluated: Its evaluation, whose TEST scores and reading are taken.
        catalog: The scans.
        store: Their pixels.
        config: Seeds and draws.
        said: Called with the part of the look that begins.

    Raises:
        EvaluationError: The scores are not those of this network.
        StoreError: The outcome could not be written.
    """
    folder = _folder(trained, evaluated)

    def fill(draft: Path) -> dict[str, Any]:
        with quiet_import():
            from xray.evaluation.inspection.compute_inspection import write_inspection
        write_inspection(draft, trained, evaluated, catalog, store, config, said or (lambda part: None))
        return {"evaluation": evaluated.digest}

    return Inspected(folder, reused=not write_folder(folder, fill))


def inspection_of(trained: Trained, evaluated: Evaluated) -> Inspected | None:
    """Find the inspection of an evaluated network; None if there is none."""
    folder = _folder(trained, evaluated)
    return Inspected(folder, reused=True) if is_whole(folder, then="it is left out") else None


def _folder(trained: Trained, evaluated: Evaluated) -> Path:
    return trained.folder / f"inspection-{digest_of([INSPECTION_VERSION, evaluated.digest])}"
