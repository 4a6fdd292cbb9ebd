"""How often the promotion policy's margins let a challenger pass, by what it is truly worth.

Two models score the same scans from a shared part, which makes a scan hard for both, and a part of their own; a quarter
of a scan's difficulty is its patient's. The champion has AUC 0.95, sensitivity 0.95 and specificity 0.75. Run:

    python benchmarks/promotion_power.py
"""

from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.evaluation.metrics.paired_comparison import compare

SIZES = {308: (205, 127), 624: (415, 234)}
"""Scans of the official TEST set at hand and in all, with their patients and normal scans."""

SHARED = (0.5, 0.7, 0.9)
"""Share of the scores' variance within a label that both models have in common."""

CHALLENGERS = {"equal": (2.33, 0.0), "AUC +0.02": (2.66, 0.165), "specificity -0.10": (2.33, -0.32),
               "sensitivity -0.05": (2.33, 0.36), "sensitivity -0.10": (2.33, 0.61)}  # fmt: skip
"""A challenger's distance between the labels, in standard deviations, and how far its threshold lies off."""

UNIFORM = (0.03, 0.05, 0.07, 0.10)
PAIRS = 200
DRAWS = 400
THRESHOLD = 2.33 - 1.645  # sensitivity 0.95

FIGURES = ("auc", "sensitivity", "specificity")


def lows(scans: int, shared: float, challenger: str, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw pairs of models: lower ends of the 95 % interval of (challenger - champion), float64 (PAIRS, 3)."""
    patients, normal = SIZES[scans]
    distance, shift = CHALLENGERS[challenger]
    rows = []
    for seed in range(PAIRS):
        y = np.arange(scans) >= normal
        # A patient's scans are of one label, as nearly all are in the set.
        first = round(patients * normal / scans)
        patient = np.where(y, first + np.arange(scans) % (patients - first), np.arange(scans) % first)
        common = 0.5 * generator.normal(size=patients)[patient] + np.sqrt(0.75) * generator.normal(size=scans)
        tables = []
        for apart, off in ((2.33, 0.0), (distance, shift)):
            own = generator.normal(size=scans)
            score = np.sqrt(shared) * common + np.sqrt(1 - shared) * own + apart * y - THRESHOLD - off
            tables.append(_table(y, patient, score))
        found = compare(tables[0], tables[1], (0.5, 0.5), config.Evaluation(seed=seed, bootstrap_draws=DRAWS))
        rows.append([found.differences[name].difference.low for name in FIGURES])
    return np.array(rows, dtype=float)


def _table(y: NDArray[np.bool_], patient: NDArray[np.int64], score: NDArray[np.float64]) -> pd.DataFrame:
    ids = [str(number) for number in range(len(y))]
    label, subtype = np.where(y, "pneumonia", "normal"), np.where(y, "bacterial", "normal")
    p = [NormalDist().cdf(each) for each in score]
    return pd.DataFrame({"image_id": ids, "sha256": ids, "patient_id": patient.astype(str), "label": label,
                         "subtype": subtype, "split": "test", "p_pneumonia": p})  # fmt: skip


def main() -> None:
    """Print, for each size and share, how many of the pairs pass."""
    policy = config.Promotion()
    shipped = np.array([policy.margins[name] for name in FIGURES])
    generator = np.random.default_rng(0)
    print(f"{'scans':>5} {'shared':>6}  {'challenger':<18} {'auc':>5} {'sens':>5} {'spec':>5} {'all':>5}   one margin:",
          *(f"{margin:>5.2f}" for margin in UNIFORM))  # fmt: skip
    for scans in SIZES:
        for shared in SHARED:
            for challenger in CHALLENGERS:
                low = lows(scans, shared, challenger, generator)
                passed = low > -shipped
                shares = [*passed.mean(axis=0), passed.all(axis=1).mean()]
                alike = [(low > -margin).all(axis=1).mean() for margin in UNIFORM]
                print(f"{scans:>5} {shared:>6.1f}  {challenger:<18}", *(f"{each:>5.2f}" for each in shares),
                      "             ", *(f"{each:>5.2f}" for each in alike), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
