"""Evaluate a trained network on validation and TEST scans, or find its evaluation, which needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xray.config import Config, digest_of
from xray.data.catalog import Catalog
from xray.data.store.pixel_store import PixelStore
from xray.evaluation.decision.rule import DecisionRule
from xray.files.artifact_folder import kept_json, kept_table, write_folder
from xray.keras_import import quiet_import
from xray.training.fit import Trained

JUDGE_VERSION = 4
"""Raised when a change of code changes a score, a figure or a picture."""


@dataclass(frozen=True)
class KeptEvaluation:
    """An evaluation's folder.

    Attributes:
        folder: Holds `scores.parquet`, `evaluation.json`, `figures/*.png` and `manifest.json`.
        digest: Names the folder; depends on the model, the scans judged and the evaluation's settings.
        reused: Whether the folder was there already.
    """

    folder: Path
    digest: str
    reused: bool

    def scores(self) -> pd.DataFrame:
        """Read every scan's score, a row a scan."""
        return kept_table(self.folder, "scores.parquet")

    def report(self) -> dict[str, Any]:
        """Read the report, by name."""
        return kept_json(self.folder, "evaluation.json")

    def plots(self) -> list[Path]:
        """List the pictures, PNG files, in alphabetical order."""
        return sorted((self.folder / "figures").glob("*.png"))


class Evaluated(KeptEvaluation):
    """A finished evaluation of a training, on disk.

    Its folder holds `reference.parquet` besides, and its scores are of validation and TEST scans. Its report has
    `threshold`; `reading`; `metrics`, name to number, with `_low` and `_high`; `outcomes`, scans by split, label and
    decision; `elsewhere`, what an answer is worth where the finding is rarer or commoner; `rows`, the table on TEST in
    words; `tables`, further ones by title, each with its columns and rows.
    """

    def reading(self) -> DecisionRule:
        """Read how the network's outputs are read, as validation chose it."""
        return DecisionRule.from_dict(self.report()["reading"])


def evaluation_digest(training: str, catalog: Catalog, config: Config) -> str:
    """Name the evaluation of a training, which need not have been made yet.

    Args:
        training: The training's digest.
        catalog: The scans.
        config: Rules, seed, draws and bins.
    """
    evaluated = _held_out(catalog)[["image_id", "sha256", "patient_id", "label", "subtype", "split"]].to_csv(
        index=False
    )
    return digest_of([JUDGE_VERSION, training, config.evaluation.model_dump(), evaluated])


def evaluate(trained: Trained, catalog: Catalog, store: PixelStore, config: Config) -> Evaluated:
    """Evaluate a training, or find its evaluation.

    Temperature, threshold and the band of referred scores are chosen on validation scans by the configured rules;
    TEST is only looked at with them.

    Args:
        trained: A finished training.
        catalog: The scans.
        store: Their pixels.
        config: What is told apart, rules, seed, draws and bins.

    Raises:
        EvaluationError: A split cannot be judged.
        StoreError: The outcome could not be written.
    """
    rows = _held_out(catalog)
    digest = evaluation_digest(trained.digest, catalog, config)
    folder = trained.folder / f"evaluation-{digest}"

    def fill(draft: Path) -> dict[str, Any]:
        with quiet_import():
            from xray.evaluation.compute_evaluation import write_evaluation
        write_evaluation(draft, trained, rows, catalog, store, config)
        return {"digest": digest, "training": trained.digest}

    written = write_folder(folder, fill)
    return Evaluated(folder, digest, reused=not written)


def _held_out(catalog: Catalog) -> pd.DataFrame:
    rows = catalog.rows()
    return rows[rows["split"] != "train"].reset_index(drop=True)
