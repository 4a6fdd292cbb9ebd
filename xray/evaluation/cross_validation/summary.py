"""Summary of a cross-validation: spread over the folds, out-of-fold scores, and tables as text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xray import config
from xray.config import digest_of
from xray.evaluation.cross_validation.held_out_sources import is_by_source, source_table
from xray.evaluation.cross_validation.out_of_fold import SPLIT, TABLE_COLUMNS, FoldScores, evaluate_out_of_fold, gather
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.metrics import names
from xray.evaluation.metrics.aggregate import mean_and_sd
from xray.evaluation.metrics.multiclass import COLUMNS as CLASS_COLUMNS
from xray.evaluation.metrics.multiclass import ClassEvaluation, class_scores, evaluate_classes
from xray.files.artifact_folder import kept_json, write_folder
from xray.labels import class_columns
from xray.table import Table
from xray.training.fit import Trained

SUMMARY_VERSION = 3
"""Raised when a change of code changes a figure or a table."""

OUT_OF_FOLD = "out_of_fold.parquet"
SHOWN = (
    *(f"validation.{name}" for name in names.RANKING),  # at a threshold that was chosen on it, the rest would flatter
    *(f"test.{name}" for name in names.ALL),
)
"""Figures of each fold that the table shows; the report's metrics come from all of them."""


@dataclass(frozen=True)
class EvaluatedFold:
    """One fold's training and evaluation.

    Attributes:
        number: The fold that was validation, from 0.
        seed: Seed of the training.
        trained: The training.
        evaluated: Its evaluation.
    """

    number: int
    seed: int
    trained: Trained
    evaluated: Evaluated

    def figures(self) -> dict[str, float]:
        """Read every figure of the evaluation, and the best epoch."""
        return {**self.evaluated.report()["metrics"], "best_epoch": self.trained.history().best_epoch}


@dataclass(frozen=True)
class Summary:
    """A finished summary on disk.

    Attributes:
        folder: Holds `out_of_fold.parquet`, `summary.json` and `manifest.json`.
        reused: Whether the folder was there already.
    """

    folder: Path
    reused: bool

    @property
    def out_of_fold(self) -> Path:
        """The scores of all TRAIN scans, a row a scan and seed."""
        return self.folder / OUT_OF_FOLD

    def report(self) -> dict[str, Any]:
        """Read `metrics` (name to number), `folds` (a mapping a training) and `out_of_fold` (its table, in words)."""
        return kept_json(self.folder, "summary.json")

    def tables(self) -> dict[str, Table]:
        """Write the tables in words.

        Returns:
            `folds` (mean, standard deviation and each training's value), `out-of-fold` and, where more classes than two
            are told apart, `classes-out-of-fold`; `sources` first, where each fold is one.
        """
        report = self.report()
        found, folds = report["metrics"], report["folds"]
        rows = [
            (
                name.replace("_", " ").replace(".", " "),
                f"{found[name]:.3f}",
                f"{found[f'{name}_sd']:.3f}",
                " ".join(f"{fold[name]:.3f}" for fold in folds),
            )
            for name in SHOWN
            if name in found
        ]
        tables: dict[str, Table] = {
            "folds": Table(("metric", "mean", "sd", "each fold"), rows),
            "out-of-fold": Table(TABLE_COLUMNS, report["out_of_fold"]),
        }
        if report.get("sources"):  # a summary of before has none
            tables = {"sources": Table(*report["sources"]), **tables}
        return tables | ({"classes-out-of-fold": Table(CLASS_COLUMNS, report["classes"])} if report["classes"] else {})


def summarize(folds: Sequence[EvaluatedFold], evaluation: config.Evaluation, root: Path) -> Summary:
    """Write the summary of a cross-validation, or find it.

    Args:
        folds: Every fold, in order of seed and number.
        evaluation: Seed, draws and bins of the out-of-fold figures.
        root: Folder of the cross-validation.

    Raises:
        EvaluationError: The scores cannot be judged.
        StoreError: The outcome could not be written.
    """
    members = [(fold.number, fold.seed, fold.evaluated.digest) for fold in folds]
    folder = root / f"summary-{digest_of([SUMMARY_VERSION, members, evaluation.model_dump()])}"

    def fill(draft: Path) -> dict[str, Any]:
        table = gather((_scores(fold) for fold in folds), evaluation)
        table.to_parquet(draft / OUT_OF_FOLD, index=False)
        evaluated = evaluate_out_of_fold(table, evaluation)
        classes = _classes(table, folds[0].evaluated.reading().classes, evaluation)
        report = {
            "metrics": {
                **mean_and_sd([fold.figures() for fold in folds]),
                **evaluated.flat(),
                **({} if classes is None else classes.flat(f"{SPLIT}_classes")),
            },
            "folds": [_line(fold) for fold in folds],
            "out_of_fold": evaluated.rows(),
            "classes": [] if classes is None else classes.rows(),
            "sources": _sources(folds, table, evaluation) if is_by_source(table) else [],
        }
        (draft / "summary.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        return {"members": members}

    return Summary(folder, reused=not write_folder(folder, fill))


def _sources(folds: Sequence[EvaluatedFold], table: pd.DataFrame, evaluation: config.Evaluation) -> Table:
    first = {fold.number: fold.evaluated.scores() for fold in reversed(folds)}  # of several seeds the first
    return source_table(first, _once(table), evaluation)


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """Give each scan's row of the first seed, so that none counts twice."""
    return table[table["seed"] == table["seed"].iloc[0]]


def _classes(table: pd.DataFrame, classes: Sequence[str], evaluation: config.Evaluation) -> ClassEvaluation | None:
    if not class_columns(classes):
        return None
    return evaluate_classes(class_scores(_once(table).assign(split=SPLIT), classes), evaluation)


def _scores(fold: EvaluatedFold) -> FoldScores:
    scores: pd.DataFrame = fold.evaluated.scores()
    own = scores[scores["split"] == "validation"]
    return FoldScores(fold.number, fold.seed, fold.evaluated.report()["threshold"], own)


def _line(fold: EvaluatedFold) -> dict[str, Any]:
    figures = fold.figures()
    return {
        "fold": fold.number,
        "seed": fold.seed,
        "training": fold.trained.digest,
        "threshold": fold.evaluated.report()["threshold"],
        "best_epoch": figures["best_epoch"],
        **{name: figures[name] for name in SHOWN if name in figures},
    }
