"""Score a trained network on validation and TEST scans, choose its decision rule, and draw the plots."""

import json
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
from xray.data.split_checks import require_covered
from xray.data.store.pixel_store import PixelStore
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.decision.rule import DecisionRule, fit_decision_rule
from xray.evaluation.decision.rule_metrics import DeploymentMetrics, deployment_metrics
from xray.evaluation.drift.reference import FILE as REFERENCE
from xray.evaluation.drift.reference import write_reference
from xray.evaluation.metrics.bootstrap import flat_estimates
from xray.evaluation.metrics.multiclass import COLUMNS as CLASS_COLUMNS
from xray.evaluation.metrics.multiclass import ClassEvaluation, class_scores, evaluate_classes
from xray.evaluation.metrics.split_metrics import COLUMNS, Evaluation, evaluate_split, with_finding
from xray.evaluation.plots import binary as figures
from xray.evaluation.plots.multiclass import class_confusion, class_rocs
from xray.evaluation.plots.referral import coverage_picture
from xray.evaluation.plots.scan_grid import choose_scans, scan_grid
from xray.table import Table
from xray.training.fit import Trained
from xray.training.predict import predict

SCANS_AT_ONCE = 512
DISTINCT = "test_distinct"
"""The TEST scans without those whose pixels another one has."""

SCAN = ["image_id", "sha256", "patient_id", "label", "subtype", "source", "split"]


def write_evaluation(
    folder: Path, trained: Trained, rows: pd.DataFrame, catalog: Catalog, store: PixelStore, config: Config
) -> None:
    """Write an evaluation's files into a folder.

    Args:
        folder: Becomes what `evaluate.Evaluated` says, but for its manifest.
        trained: A finished training.
        rows: The catalog's rows of validation and TEST.
        catalog: The scans.
        store: Their pixels.
        config: What is told apart, rules, seed, draws and bins.

    Raises:
        EvaluationError: A split cannot be judged.
    """
    scheme = config.labels.told_apart
    require_covered(rows, scheme)
    probabilities = _score(trained, rows, store)
    held = (rows["split"] == "validation").to_numpy()
    reading = fit_decision_rule(probabilities[held], rows[held], scheme, config.evaluation)
    labelled = with_finding(rows, scheme.finding)
    scores = pd.concat([labelled[[*SCAN, "pixels_sha256"]], reading.read(probabilities)], axis=1)
    scores.to_parquet(folder / "scores.parquet", index=False)
    write_reference(folder / REFERENCE, catalog.rows(), scores, store, config.images)
    found = _verdicts(scores, reading, config)
    (folder / "evaluation.json").write_text(json.dumps(found.report(), indent=2), encoding="utf-8")
    _draw(folder / "figures", _plots(trained, catalog, store, found))


@dataclass(frozen=True)
class _Computed:
    """All results of one training.

    Attributes:
        reading: How its outputs are read.
        scores: The TEST scans' scores.
        splits: The evaluation of each split, the last one of TEST without duplicate images.
        outcomes: What became of the scans of each of these splits.
        use: What it is worth in use, on TEST.
        classes: How well classes are told apart on validation and TEST; none for two classes.
    """

    reading: DecisionRule
    scores: pd.DataFrame
    splits: dict[str, Evaluation]
    outcomes: dict[str, Outcomes]
    use: DeploymentMetrics
    classes: dict[str, ClassEvaluation]

    def report(self) -> dict[str, Any]:
        """Give it as JSON-like values."""
        read = self.reading
        chosen = {"temperature": read.temperature, "refer_low": read.low, "refer_high": read.high}
        parts = [*(each.flat() for each in self.splits.values()), self.use.flat()]
        parts += [each.flat(f"{split}_classes") for split, each in self.classes.items()]
        tables: dict[str, Table] = {"TEST without duplicate images": Table(COLUMNS, self.splits[DISTINCT].rows())}
        tables |= self.use.tables
        if self.classes:
            tables["Classes on TEST"] = Table(CLASS_COLUMNS, self.classes["test"].rows())
        return {
            "threshold": read.threshold,
            "reading": read.to_dict(),
            "metrics": {**chosen, **{name: value for part in parts for name, value in part.items()}},
            "outcomes": {name: each.counts for name, each in self.outcomes.items()},
            "elsewhere": flat_estimates("test", self.use.elsewhere),
            "rows": self.splits["test"].rows(),
            "tables": tables,
        }


def _verdicts(scores: pd.DataFrame, reading: DecisionRule, config: Config) -> _Computed:
    test = scores[scores["split"] == "test"].reset_index(drop=True)
    tables = {
        "validation": scores[scores["split"] == "validation"],
        "test": test,
        DISTINCT: test.drop_duplicates("pixels_sha256").assign(split=DISTINCT),
    }
    scheme = config.labels.told_apart
    named = ("validation", "test") if scheme.outputs > 1 else ()
    return _Computed(
        reading=reading,
        scores=test,
        splits={name: evaluate_split(table, reading.threshold, config.evaluation) for name, table in tables.items()},
        outcomes={name: Outcomes.of(table) for name, table in tables.items()},
        use=deployment_metrics(test, reading, config.evaluation),
        classes={
            name: evaluate_classes(class_scores(tables[name], scheme.classes), config.evaluation) for name in named
        },
    )


def _score(trained: Trained, rows: pd.DataFrame, store: PixelStore) -> NDArray[np.float64]:
    """Give each scan's class probabilities, float64 (n, k)."""
    network = keras.models.load_model(trained.model, compile=False)
    parts = [
        predict(network, store.read(rows["sha256"].iloc[start : start + SCANS_AT_ONCE].tolist()))
        for start in range(0, len(rows), SCANS_AT_ONCE)
    ]
    return np.concatenate(parts)


def _draw(folder: Path, plots: dict[str, Figure]) -> None:
    folder.mkdir()
    for name, picture in plots.items():
        picture.savefig(folder / f"{name}.png")


def _plots(trained: Trained, catalog: Catalog, store: PixelStore, found: _Computed) -> dict[str, Figure]:
    scores, on_test = found.scores, found.splits["test"]
    outcomes, chosen = found.outcomes["test"], choose_scans(scores, on_test.chosen.threshold)
    of_classes = {}
    if found.classes:
        of_classes = {
            "class_confusion": class_confusion(found.classes["test"]),
            "class_rocs": class_rocs(class_scores(scores, found.reading.classes), found.classes["test"]),
        }
    return {
        "class_distribution": figures.class_distribution(catalog.rows(), on_test.finding),
        "scan_grid": scan_grid(store.read(chosen["sha256"].tolist()), chosen, outcomes, on_test),
        "roc_curve": figures.roc_curve(scores, on_test),
        "precision_recall": figures.precision_recall(scores, on_test),
        "calibration": figures.calibration(scores, on_test),
        "score_distribution": figures.score_distribution(scores, on_test),
        "confusion_matrix": figures.confusion_matrix(outcomes, on_test),
        "learning_curves": figures.learning_curves(trained.history_values()),
        "referral": coverage_picture(scores, found.reading.band, on_test),
        **of_classes,
    }
