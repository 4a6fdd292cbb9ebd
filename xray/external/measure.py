"""What a model's answers on a labelled set are worth: the figures of a TEST evaluation, beside its own TEST's."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.config import digest_of
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.decision.rule_metrics import deployment_metrics
from xray.evaluation.evaluate import KeptEvaluation
from xray.evaluation.inspection.slices import COLUMNS as SLICE_COLUMNS
from xray.evaluation.inspection.slices import Name, sliced
from xray.evaluation.metrics.bootstrap import Estimate, estimate_of, flat_estimates
from xray.evaluation.metrics.multiclass import LEAST_SCANS
from xray.evaluation.metrics.split_metrics import evaluate_split
from xray.evaluation.plots import binary as plots
from xray.external.labelled_set import SPLIT, LabelledSet
from xray.files.artifact_folder import is_whole, write_folder
from xray.table import Table

VERSION = 1
"""Raised when a change of code changes a score, a figure or a picture."""

SHOWN = (
    "auc", "average_precision", "accuracy", "sensitivity", "specificity", "f1", "brier", "calibration_error",
    "sensitivity_bacterial", "sensitivity_viral", "referred", "error_decided", "ppv", "npv",
)  # fmt: skip
"""Figures that stand beside the model's own on its TEST, in this order."""

EVALUATION = "evaluation"
"""The folder of figures, beside what remembers its MLflow run."""

COLUMNS = ("metric", "here", "on its TEST", "difference", "scans for ±0.05")
HALF_WIDTH = 0.05
"""An interval that reaches farther to either side is wide: the table says how many scans of each label would do."""

AGES = ((0, 18), (18, 40), (40, 65), (65, math.inf))
"""Bands of age in years, from and below."""


class Measured(KeptEvaluation):
    """A model's evaluation on a labelled set, on disk.

    Its scores are a row a scan, as the labelled set has it, with the model's answer. Its report has `threshold`,
    `finding`, `metrics`, `outcomes`, `rows`, `tables` and `notes`.
    """


def measured_digest(model: str, labelled: LabelledSet, evaluation: config.Evaluation) -> str:
    """Name the evaluation of a model on a set, which need not have been made yet.

    Args:
        model: The content of the model's version.
        labelled: The scans.
        evaluation: Seed, draws and bins.
    """
    return digest_of([VERSION, model, labelled.digest, evaluation.model_dump(mode="json")])


def found_measured(folder: Path, digest: str) -> Measured | None:
    """Find a finished evaluation.

    Args:
        folder: Of all such evaluations.
        digest: What `measured_digest` gave.

    Raises:
        StoreError: The disk does not give it.
    """
    place = folder / digest / EVALUATION
    return Measured(place, digest, reused=True) if is_whole(place) else None


def write_measured(
    folder: Path,
    digest: str,
    scores: pd.DataFrame,
    reading: DecisionRule,
    home: Mapping[str, float],
    notes: list[str],
    evaluation: config.Evaluation,
) -> Measured:
    """Judge a model's answers and write the outcome, or find it.

    Args:
        folder: Of all such evaluations.
        digest: What `measured_digest` gave.
        scores: A row a scan: a labelled set's rows and the model's answer.
        reading: The model's own decision rule.
        home: The figures of the model's own run by name, `test.auc` and the like.
        notes: What a reader should know, in words.
        evaluation: Seed, draws and bins.

    Raises:
        EvaluationError: The scores are of one label alone.
        StoreError: The outcome could not be written.
    """
    place = folder / digest / EVALUATION

    def fill(draft: Path) -> dict[str, Any]:
        found = evaluate_split(scores, reading.threshold, evaluation)
        outcomes, use = Outcomes.of(scores), deployment_metrics(scores, reading, evaluation)
        parts = sliced(scores, reading.threshold, dict(_parts(scores)), evaluation)
        numbers = found.flat() | use.flat() | flat_estimates(SPLIT, use.elsewhere)
        # A path is a name, too, and goes to MLflow with the table; `image_id` is hidden where a source is private.
        scores.drop(columns="path", errors="ignore").to_parquet(draft / "scores.parquet", index=False)
        (draft / "figures").mkdir()
        for name, picture in {
            "roc_curve": plots.roc_curve(scores, found),
            "calibration": plots.calibration(scores, found),
            "score_distribution": plots.score_distribution(scores, found),
            "confusion_matrix": plots.confusion_matrix(outcomes, found),
        }.items():
            picture.savefig(draft / "figures" / f"{name}.png")
        report = {
            "threshold": reading.threshold,
            "finding": reading.finding,
            "metrics": numbers | parts.flat(f"{SPLIT}.slices"),
            "outcomes": outcomes.counts,
            "rows": beside_home(numbers, home, outcomes),
            "tables": {"Slices of the scans": Table(SLICE_COLUMNS, parts.rows()), **use.tables},
            "notes": notes,
        }
        (draft / "evaluation.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        return {"digest": digest}

    return Measured(place, digest, reused=not write_folder(place, fill))


def beside_home(
    here: Mapping[str, float], home: Mapping[str, float], outcomes: Outcomes
) -> list[tuple[str, str, str, str, str]]:
    """Write each figure beside the model's own on its TEST, a row a figure, under `COLUMNS`.

    Args:
        here: Figures by name, `external.auc` with `_low` and `_high`.
        home: Those of the model's run, `test.auc` with its ends.
        outcomes: Counts the scans of each label.
    """
    rows = [
        (
            "scans (patients)",
            f"{here[f'{SPLIT}.scans']:,.0f} ({here[f'{SPLIT}.patients']:,.0f})",
            _scans_of(home),
            "",
            "",
        ),
        (outcomes.finding, f"{here[f'{SPLIT}.prevalence']:.1%}", _share_of(home), "", ""),
        ("threshold", f"{here[f'{SPLIT}.threshold']:.3f}", "the same", "", ""),
    ]
    fewest = min(outcomes.of_label(label) for label in outcomes.labels)
    for name in SHOWN:
        ours, theirs = estimate_of(here, f"{SPLIT}.{name}"), estimate_of(home, f"test.{name}")
        if ours is None:
            continue
        cells = (str(ours), str(theirs or "not known"), differs(ours, theirs), wanted(ours, fewest))
        if fewest < LEAST_SCANS:
            cells = (f"too few: {fewest} scans of a label", str(theirs or "not known"), "", f"at least {LEAST_SCANS}")
        rows.append((name.replace("_", " "), *cells))
    return rows


def wanted(found: Estimate, scans: int) -> str:
    """Say how many scans of each label would make a wide interval narrow; nothing where it is.

    Args:
        found: The figure.
        scans: Of the rarer label, now.
    """
    if found.low is None or found.high is None:
        return ""
    half = (found.high - found.low) / 2
    tens = math.ceil(round(scans * (half / HALF_WIDTH) ** 2 / 10, 6))
    return "" if half <= HALF_WIDTH else f"about {10 * tens:,} of each label"


def differs(here: Estimate, home: Estimate | None) -> str:
    """Say whether a figure differs from the model's own beyond chance: two sets of other patients, so errors add up.

    The standard error of each is a quarter of its 95 % interval; more than 1.96 standard errors apart is beyond chance.
    """
    if home is None or None in (here.low, here.high, home.low, home.high):
        return ""
    ends = [(each.high or 0) - (each.low or 0) for each in (here, home)]
    error = math.hypot(*(width / (2 * 1.96) for width in ends))
    difference = here.value - home.value
    if error == 0:
        return f"{difference:+.3f}"
    return f"{difference:+.3f}{', beyond chance' if abs(difference) > 1.96 * error else ', within chance'}"


def _scans_of(home: Mapping[str, float]) -> str:
    return (
        f"{home['test.scans']:,.0f} ({home['test.patients']:,.0f})"
        if {"test.scans", "test.patients"} <= set(home)
        else ""
    )


def _share_of(home: Mapping[str, float]) -> str:
    return f"{home['test.prevalence']:.1%}" if "test.prevalence" in home else ""


def _parts(scores: pd.DataFrame) -> Iterator[tuple[Name, NDArray[np.bool_]]]:
    for kind in ("subtype", "source", "view", "sex", "site"):
        for name in sorted(scores[kind].unique()) if kind in scores else ():
            words = f"{kind} {name or 'unknown'}"
            yield (kind, name or "unknown", words), (scores[kind] == name).to_numpy(dtype=bool)
    if "age" in scores:
        age = pd.to_numeric(scores["age"], errors="coerce").to_numpy(dtype=np.float64)
        for least, below in AGES:
            mask = (age >= least) & (age < below)
            if mask.any():
                words = f"age {least} and older" if below == math.inf else f"age {least} to {below}"
                yield ("age", f"from-{least}", words), mask
        if np.isnan(age).any():
            yield ("age", "unknown", "age unknown"), np.isnan(age)
