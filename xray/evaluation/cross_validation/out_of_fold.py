"""Out-of-fold scores: each TRAIN scan scored by a network that was not trained on it.

They are the only figures for what TEST has none of, such as COVID-19. What they are worth:

- Figures without a threshold (AUC, average precision, Brier score, calibration error) rank scores of different networks
  in one list, so they also suffer from folds that are calibrated differently. The mean of the folds' own does not.
- A fold's threshold was chosen on the very scans it would be judged on. Decisions here are taken at `nested_threshold`
  in place of it: chosen in the same way on the other folds' out-of-fold scores, without training anything again. Those
  scores come from networks that were trained on this fold, so a small dependence is left.
- Each network is the best epoch by the loss on its own fold, at a temperature fitted there. That makes all of these
  figures somewhat optimistic, those without a threshold, too. The official TEST scans took no part in any choice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.decision.thresholds import choose_threshold
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.evaluation.metrics.multiclass import LEAST_SCANS
from xray.evaluation.metrics.split_metrics import CAUSES, HALF, labels_and_scores
from xray.labels import CAUSE_OF_SUBTYPE, NORMAL, PNEUMONIA, decide, finding_in, is_probability, p_column, raw_column

SPLIT = "out_of_fold"
SCAN = ["image_id", "sha256", "patient_id", "label", "subtype", "source", "fold", "seed"]
DECIDED = ["threshold", "decision", "nested_threshold", "nested_decision"]
TABLE_COLUMNS = ("metric", "at the other folds' threshold", "at 0.5")
"""What the columns of `OutOfFold.rows` hold."""


@dataclass(frozen=True)
class FoldScores:
    """Scores of one fold's network on its own validation scans.

    Attributes:
        fold: The fold's number, from 0.
        seed: Seed of the training.
        threshold: 0 to 1, chosen on this fold.
        scores: A row a scan of the fold: image_id, sha256, patient_id, label, subtype, source, p_FINDING (0 to 1),
            and p_CLASS for each class of a model that knows more than two.
    """

    fold: int
    seed: int
    threshold: float
    scores: pd.DataFrame


@dataclass(frozen=True)
class OutOfFold:
    """Metrics of out-of-fold scores.

    Attributes:
        scans: Number of scans. With several seeds each has as many rows, and its patient's draw brings them all.
        patients: Number of patients.
        finding: What positive means.
        prevalence: Share of the scans that have the finding, 0 to 1.
        figures: The figures of a split's evaluation by the same names, and those of single subtypes and sources.
        groups: Scans of each cause, subtype and source, also of those with too few for a figure.
    """

    scans: int
    patients: int
    finding: str
    prevalence: float
    figures: Mapping[str, Estimate]
    groups: Mapping[str, int]

    def flat(self) -> dict[str, float]:
        """Give every number as MLflow names it: `out_of_fold.auc`, `out_of_fold.auc_low`, `out_of_fold.auc_high`."""
        numbers = {
            "scans": self.scans,
            "patients": self.patients,
            "prevalence": self.prevalence,
            "draws_left_out": max(estimate.left_out for estimate in self.figures.values()),
            **{f"scans_{name}": scans for name, scans in self.groups.items()},
        }
        counts = {f"{SPLIT}.{name}": float(number) for name, number in numbers.items()}
        return counts | flat_estimates(SPLIT, self.figures)

    def rows(self) -> list[tuple[str, str, str]]:
        """Write the table in words, a row for each figure, under `TABLE_COLUMNS`."""
        counts = [("scans (patients)", f"{self.scans:,} ({self.patients:,})"), (self.finding, f"{self.prevalence:.1%}")]
        rows = [(name, value, "") for name, value in counts]
        for name, figure in self.figures.items():
            if not name.endswith("_at_half"):
                at_half = self.figures.get(f"{name}_at_half")
                rows.append((name.replace("_", " "), str(figure), "" if at_half is None else str(at_half)))
        few = {name: scans for name, scans in self.groups.items() if scans < LEAST_SCANS}
        return rows + [(name.replace("_", " "), f"{scans} scans, too few", "") for name, scans in few.items()]


def gather(folds: Iterable[FoldScores], evaluation: config.Evaluation) -> pd.DataFrame:
    """Put the folds' own validation scores into one table, and decide each scan at the other folds' threshold, too.

    Args:
        folds: At least two folds of each seed.
        evaluation: Names the rule that chooses `nested_threshold`.

    Returns:
        A row a scan and seed, by seed and `image_id`: `SCAN`, p_FINDING, `DECIDED` and each p_CLASS. `threshold` and
        `decision` are the fold's own, `nested_threshold` and `nested_decision` come from the other folds of the same
        seed. Every scan is decided, none is referred.

    Raises:
        EvaluationError: A scan lies in two folds, or a seed has one fold alone.
    """
    table = pd.concat(
        [each.scores.assign(fold=each.fold, seed=each.seed, threshold=each.threshold) for each in folds],
        ignore_index=True,
    )
    twice = table.loc[table.duplicated(["image_id", "seed"]), "image_id"]
    if len(twice):
        raise EvaluationError(f"each scan must lie in one fold. Received: {twice.iloc[0]} in two")
    table["nested_threshold"] = np.nan
    for (seed, fold), own in table.groupby(["seed", "fold"]):
        others = table[(table["seed"] == seed) & (table["fold"] != fold)]
        table.loc[own.index, "nested_threshold"] = choose_threshold(
            *labels_and_scores(others.assign(split=SPLIT)), evaluation
        )
    finding = finding_in(table.columns)
    for prefix in ("", "nested_"):
        above = table[p_column(finding)] - table[f"{prefix}threshold"]  # 0 from the threshold on, exactly
        table[f"{prefix}decision"] = decide(above.to_numpy(), 0.0, finding=finding)
    probabilities = [name for name in table.columns if is_probability(name) and name != raw_column(finding)]
    return table[[*SCAN, probabilities[0], *DECIDED, *probabilities[1:]]].sort_values(
        ["seed", "image_id"], ignore_index=True
    )


def evaluate_out_of_fold(table: pd.DataFrame, evaluation: config.Evaluation) -> OutOfFold:
    """Evaluate out-of-fold scores, decisions at `nested_threshold`, with 95 % intervals by patient.

    AUC of a subtype or source is that of its positive scans against all normal scans; no normal scan bears a subtype.

    Args:
        table: As `gather` gives it.
        evaluation: Seed, draws and bins.

    Raises:
        EvaluationError: The rows are of one label, or a value is out of bounds.
    """
    y, p = labels_and_scores(table.assign(split=SPLIT))
    metrics.check(y, p)
    threshold = table["nested_threshold"].to_numpy(dtype=np.float64)
    masks = _groups(table)
    once = (table["seed"] == table["seed"].iloc[0]).to_numpy()
    enough = {name: mask for name, mask in masks.items() if (mask & once).sum() >= LEAST_SCANS}

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = metrics.ranking_figures(y, p, evaluation.calibration_bins, weights)
        for points, suffix in ((threshold, ""), (np.full_like(p, HALF), "_at_half")):
            at_point = metrics.decision_figures(y, p, points, weights)
            for name, mask in enough.items():
                at_point |= _group_figures(name, y, mask, p >= points, weights, once)
            found |= {f"{name}{suffix}": values for name, values in at_point.items()}
        return found | {
            f"auc_{name}": _auc_against_normal(y, p, mask, weights)
            for name, mask in enough.items()
            if (mask & y & once).sum() >= LEAST_SCANS
        }

    estimates = bootstrap(statistics, table["patient_id"].tolist(), evaluation.seed, evaluation.bootstrap_draws)
    return OutOfFold(
        scans=int(once.sum()),
        patients=int(table["patient_id"].nunique()),
        finding=finding_in(table.columns),
        prevalence=float(y.mean()),
        figures={name: estimate for name, estimate in estimates.items() if estimate is not None},
        groups={name: int((mask & once).sum()) for name, mask in masks.items()},
    )


def _groups(table: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Mask causes by the names that a split's evaluation has for them, then rarer subtypes, then sources."""
    causes, subtypes, sources = table["subtype"].map(CAUSE_OF_SUBTYPE), table["subtype"], table["source"]
    pneumonia = finding_in(table.columns) == PNEUMONIA
    known = CAUSE_OF_SUBTYPE if pneumonia else sorted(set(subtypes) - {finding_in(table.columns)})
    rarer = [name for name in known if name not in (*CAUSES, NORMAL) and (subtypes == name).any()]
    masks = {cause: causes == cause for cause in CAUSES} if pneumonia else {}
    masks |= {name: subtypes == name for name in rarer}
    masks |= {f"source_{name}": sources == name for name in sorted(sources.unique())}
    return {name: mask.to_numpy(dtype=bool) for name, mask in masks.items()}


def _group_figures(
    name: str,
    y: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    called: NDArray[np.bool_],
    weights: NDArray[np.float64],
    once: NDArray[np.bool_],
) -> dict[str, NDArray[np.float64]]:
    """Compute a group's figures, those of at least `LEAST_SCANS` scans; `once` marks each scan's first row."""
    figures = {"sensitivity": (mask & y, called), "specificity": (mask & ~y, ~called)}
    return {
        f"{figure}_{name}": metrics.ratio(weights @ (scans & right), weights @ scans)
        for figure, (scans, right) in figures.items()
        if (scans & once).sum() >= LEAST_SCANS
    }


def _auc_against_normal(
    y: NDArray[np.bool_], p: NDArray[np.float64], mask: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    kept = mask & y | ~y
    return metrics.auc(metrics.ranking(y[kept], p[kept], weights[:, kept]))
