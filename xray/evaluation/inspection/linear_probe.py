"""Whether a network's features contain the source of a scan.

A linear probe (Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016) predicts the
source of a scan from the features of the network's last layer but one. Each source is held against the others among
scans of one label, so that the label does not give it away. What a probe finds is there to be used; whether the network
uses it, masked scans tell (`shortcuts`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.inspection.saliency import members
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.bootstrap import Estimate, bootstrap, flat_estimates
from xray.evaluation.metrics.multiclass import LEAST_SCANS

COLUMNS = ("source", "scans", "auc against other sources of this label")
"""What the columns of `Probe.rows` hold."""

FOLDS = 5
"""Also the fewest patients on either side: else a fold would have none to tell apart."""


@dataclass(frozen=True)
class Probe:
    """How well sources can be predicted from a network's features.

    Attributes:
        figures: AUC of `LABEL.SOURCE` against the other sources of the same label, 0 to 1; 0.5 is guessing.
        scans: Scans of each `LABEL.SOURCE`, also of those without a figure.
    """

    figures: Mapping[str, Estimate]
    scans: Mapping[str, int]

    def flat(self, prefix: str) -> dict[str, float]:
        """Give every number as MLflow names it: `shortcut.source.pneumonia.foreign.auc`, with `_low` and `_high`."""
        return flat_estimates(prefix, {f"source.{name}.auc": each for name, each in self.figures.items()})

    def rows(self) -> list[tuple[str, str, str]]:
        """Write the table in words, a row a source and label, under `COLUMNS`."""
        return [
            (" ".join(reversed(name.split(".", 1))), f"{scans:,}", str(self.figures.get(name, "too few to tell apart")))
            for name, scans in self.scans.items()
        ]


def features(network: keras.Model, pixels: NDArray[np.uint8], batch_size: int = 32) -> NDArray[np.float32]:
    """Read what a network's last layer is given; for an average of networks, what each one's is, side by side.

    Args:
        network: uint8 (n, height, width, 1) in.
        pixels: uint8 (n, height, width), 0 to 255; a memory map is read one batch at a time.
        batch_size: Scans a step, at least 1.

    Returns:
        float32 (n, d).
    """
    averaged = members(network)
    if averaged != [network]:
        return np.concatenate([features(member, pixels, batch_size) for member in averaged], axis=1)
    reader = keras.Model(network.inputs, network.layers[-1].input)
    batches = [
        np.asarray(reader.predict_on_batch(np.asarray(pixels[start : start + batch_size])[..., np.newaxis]))
        for start in range(0, len(pixels), batch_size)
    ]
    return np.concatenate(batches).astype(np.float32).reshape(len(pixels), -1)


def probe(found: NDArray[np.float32], scans: pd.DataFrame, evaluation: config.Evaluation) -> Probe:
    """Predict each scan's source from a network's features, cross-validated by patient.

    The fitted probes' scores of held-out patients are ranked together. The 95 % interval draws patients and takes the
    probes as they are, so it is somewhat narrow: of 440 probes of noise (40 scans against 80), 25 intervals lay above
    0.5, where 11 are to be expected, and 47 below. A source needs `LEAST_SCANS` scans, and the label's others as many.

    Args:
        found: float32 (n, d), as `features` gives them, best of TRAIN scans, where rare sources are.
        scans: n rows in the same order: patient_id, label, source.
        evaluation: Seed and draws.

    Raises:
        EvaluationError: There is not one row of features a scan.
    """
    if found.ndim != 2 or len(found) != len(scans):
        raise EvaluationError(f"features must be (scans, d). Received: {found.shape} for {len(scans)} scans")
    scans = scans.reset_index(drop=True)
    figures: dict[str, Estimate] = {}
    counts: dict[str, int] = {}
    for (label, source), own in scans.groupby(["label", "source"]):
        name = f"{label}.{source}"
        counts[name] = len(own)
        among = scans[scans["label"] == label]
        estimate = _told_apart(found[among.index], among, str(source), evaluation)
        if estimate is not None:
            figures[name] = estimate
    return Probe(figures, counts)


def _told_apart(
    found: NDArray[np.float32], scans: pd.DataFrame, source: str, evaluation: config.Evaluation
) -> Estimate | None:
    here = (scans["source"] == source).to_numpy(dtype=bool)
    sides = (here, ~here)
    if min(int(side.sum()) for side in sides) < LEAST_SCANS:
        return None
    if min(scans.loc[side, "patient_id"].nunique() for side in sides) < FOLDS:
        return None
    patients = scans["patient_id"].tolist()
    scores = np.empty(len(scans))
    for learned, held_out in _folds(here, patients, evaluation.seed):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(found[learned], here[learned])
        scores[held_out] = model.decision_function(found[held_out])

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"auc": metrics.auc(metrics.ranking(here, scores, weights))}

    return bootstrap(statistics, patients, evaluation.seed, evaluation.bootstrap_draws)["auc"]


def _folds(
    here: NDArray[np.bool_], patients: list[str], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Distribute patients so that each fold has about the same share of the source."""
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    yield from folds.split(np.zeros(len(here)), here, patients)
