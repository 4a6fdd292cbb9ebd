"""Score a trained network on validation and TEST scans, choose its threshold, and draw the pictures."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xray.config import Config, digest_of
from xray.data.catalog import Catalog
from xray.data.folders import write_folder
from xray.data.shards import PixelStore
from xray.evaluation import figures
from xray.evaluation.reference import FILE as REFERENCE
from xray.evaluation.reference import write_reference
from xray.evaluation.report import Evaluation, evaluate, labels_and_scores
from xray.evaluation.thresholds import choose_threshold
from xray.labels import decide, likeliest
from xray.training.fit import Trained
from xray.training.predict import predict

JUDGE_VERSION = 2
"""Raised when a change of code changes a score, a figure or a picture."""

SCANS_AT_ONCE = 512


@dataclass(frozen=True)
class Judged:
    """A finished evaluation on disk.

    Attributes:
        folder: Holds `scores.parquet`, `reference.parquet`, `evaluation.json`, `figures/*.png` and `manifest.json`.
        digest: Names the folder; depends on the training, the scans judged and the evaluation's settings.
        reused: Whether the folder was there already.
    """

    folder: Path
    digest: str
    reused: bool

    def scores(self) -> pd.DataFrame:
        """Read every scan's score, a row a scan of validation and TEST."""
        return pd.read_parquet(self.folder / "scores.parquet")

    def report(self) -> dict[str, Any]:
        """Read `threshold`, `metrics` (name to number, with `_low` and `_high`) and `rows` (the table, in words)."""
        report: dict[str, Any] = json.loads((self.folder / "evaluation.json").read_text(encoding="utf-8"))
        return report

    def pictures(self) -> list[Path]:
        """List the pictures, PNG files, in alphabetical order."""
        return sorted((self.folder / "figures").glob("*.png"))


def judge(trained: Trained, catalog: Catalog, store: PixelStore, config: Config) -> Judged:
    """Evaluate a training, or find its evaluation.

    The threshold is chosen on validation scans by the configured rule; TEST is only looked at with it.

    Args:
        trained: A finished training.
        catalog: The scans.
        store: Their pixels.
        config: Seed, draws and bins.

    Raises:
        EvaluationError: A split cannot be judged.
        StoreError: The outcome could not be written.
    """
    rows = catalog.rows()
    rows = rows[rows["split"] != "train"].reset_index(drop=True)
    judged = rows[["image_id", "sha256", "patient_id", "label", "subtype", "split"]].to_csv(index=False)
    digest = digest_of([JUDGE_VERSION, trained.digest, config.evaluation.model_dump(), judged])
    folder = trained.folder / f"evaluation-{digest}"

    def fill(draft: Path) -> dict[str, Any]:
        scores = _score(trained, rows, store)
        validation = scores[scores["split"] == "validation"]
        threshold = choose_threshold(*labels_and_scores(validation), config.evaluation)
        scores = scores.assign(decision=decide(scores["p_pneumonia"].to_numpy(), threshold))
        scores.to_parquet(draft / "scores.parquet", index=False)
        write_reference(draft / REFERENCE, catalog.rows(), scores, store, config.images)
        on_validation = evaluate(scores[scores["split"] == "validation"], threshold, config.evaluation)
        test_scores = scores[scores["split"] == "test"].reset_index(drop=True)
        on_test = evaluate(test_scores, threshold, config.evaluation)
        report = {
            "threshold": threshold,
            "metrics": {**on_validation.flat(), **on_test.flat()},
            "rows": on_test.rows(),
        }
        (draft / "evaluation.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        _draw(draft / "figures", _pictures(trained, catalog, store, test_scores, on_test))
        return {"digest": digest, "training": trained.digest}

    written = write_folder(folder, fill)
    return Judged(folder, digest, reused=not written)


def _score(trained: Trained, rows: pd.DataFrame, store: PixelStore) -> pd.DataFrame:
    network = keras.models.load_model(trained.model, compile=False)
    parts = [
        predict(network, store.read(rows["sha256"].iloc[start : start + SCANS_AT_ONCE].tolist()))
        for start in range(0, len(rows), SCANS_AT_ONCE)
    ]
    p = np.concatenate(parts)
    columns = ["image_id", "sha256", "patient_id", "label", "subtype", "source", "split"]
    return rows[columns].assign(p_pneumonia=p, predicted_label=likeliest(p))


def _draw(folder: Path, pictures: dict[str, Figure]) -> None:
    folder.mkdir()
    for name, picture in pictures.items():
        picture.savefig(folder / f"{name}.png")


def _pictures(
    trained: Trained, catalog: Catalog, store: PixelStore, scores: pd.DataFrame, on_test: Evaluation
) -> dict[str, Figure]:
    chosen = figures.choose_scans(scores, on_test.chosen.threshold)
    history = json.loads((trained.folder / "history.json").read_text(encoding="utf-8"))
    return {
        "class_distribution": figures.class_distribution(catalog.rows()),
        "scan_grid": figures.scan_grid(store.read(chosen["sha256"].tolist()), chosen, on_test),
        "roc_curve": figures.roc_curve(scores, on_test),
        "precision_recall": figures.precision_recall(scores, on_test),
        "calibration": figures.calibration(scores, on_test),
        "score_distribution": figures.score_distribution(scores, on_test),
        "confusion_matrix": figures.confusion_matrix(on_test),
        "learning_curves": figures.learning_curves(history),
    }
