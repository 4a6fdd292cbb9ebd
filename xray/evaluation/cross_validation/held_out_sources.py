"""Sources against sources: what a model is worth on a source that it has not learned from, and on the others."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap
from xray.evaluation.metrics.multiclass import LEAST_SCANS
from xray.evaluation.metrics.split_metrics import labels_and_scores
from xray.table import Table

TOO_FEW = "too few scans"


def is_by_source(out_of_fold: pd.DataFrame) -> bool:
    """Whether each fold is a whole source, and there are several."""
    sources = out_of_fold.groupby("fold")["source"].unique()
    alone = sources.map(len) == 1
    return bool(alone.all() and len(sources) > 1 and sources.map(lambda found: found[0]).is_unique)


def source_table(scores: Mapping[int, pd.DataFrame], out_of_fold: pd.DataFrame, evaluation: config.Evaluation) -> Table:
    """Write the table: a row for each source that was held out.

    Args:
        scores: Of each fold's model, by the fold's number: patient_id, label, source, split, p_FINDING.
        out_of_fold: As `gather` gives it; each fold is a source.
        evaluation: Seed and draws of the bootstrap.

    Returns:
        Sensitivity and specificity on the source held out, at the threshold that the other folds chose; then AUC on
        each source, with 95 % intervals by patient: on TRAIN scans of the one held out, on TEST scans of the others.
    """
    held = out_of_fold.groupby("fold")["source"].first()
    sources = sorted(held)
    rows = []
    for fold, source in held.sort_values().items():
        own = out_of_fold[out_of_fold["fold"] == fold]
        cells = [_auc(_part(scores[int(str(fold))], each, source), evaluation) for each in sources]
        rows.append((source, f"{own['image_id'].nunique():,}", *_decided(own, evaluation), *cells))
    return Table(("held out", "scans", "sensitivity", "specificity", *(f"auc on {each}" for each in sources)), rows)


def _part(scores: pd.DataFrame, source: str, held_out: str) -> pd.DataFrame:
    split = "validation" if source == held_out else "test"
    return scores[(scores["source"] == source) & (scores["split"] == split)]


def _auc(part: pd.DataFrame, evaluation: config.Evaluation) -> str:
    if part["label"].nunique() < 2 or part["label"].value_counts().min() < LEAST_SCANS:
        return TOO_FEW
    y, p = labels_and_scores(part)

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"auc": metrics.auc(metrics.ranking(y, p, weights))}

    return _shown(
        bootstrap(statistics, part["patient_id"].tolist(), evaluation.seed, evaluation.bootstrap_draws)["auc"]
    )


def _decided(own: pd.DataFrame, evaluation: config.Evaluation) -> tuple[str, str]:
    y, p = labels_and_scores(own.assign(split="out_of_fold"))
    threshold = own["nested_threshold"].to_numpy(dtype=np.float64)

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found: dict[str, NDArray[np.float64]] = metrics.decision_figures(y, p, threshold, weights)
        return {name: found[name] for name in ("sensitivity", "specificity")}

    found = bootstrap(statistics, own["patient_id"].tolist(), evaluation.seed, evaluation.bootstrap_draws)
    return _shown(found["sensitivity"]), _shown(found["specificity"])


def _shown(estimate: Estimate | None) -> str:
    return TOO_FEW if estimate is None else str(estimate)
