"""Versions whose run has the metrics of another version.

Until a run was kept for each evaluation, every evaluation of a training wrote into the training's one run, and so over
the figures of the version before. Such homes are still read, and what is not a version's own is not told as if it were.
"""

import math

import mlflow.models
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from xray.tracking.run_config import EVALUATION
from xray.tracking.run_identity import evaluations_of
from xray.tracking.store import Store

THRESHOLD = "test.threshold"


def is_overwritten(store: Store, run: Run, version: ModelVersion) -> bool:
    """Tell whether another evaluation's figures lie in a version's run, by the threshold that its model was kept with.

    Args:
        store: Where both are kept.
        run: The run that the version comes from.
        version: The version.

    Raises:
        MlflowException: The store cannot be reached.
    """
    if EVALUATION in run.data.params or len(evaluations_of(run)) < 2:
        return False
    now, kept = run.data.metrics.get(THRESHOLD), _kept_threshold(store, version)
    return now is None or kept is None or not math.isclose(now, kept)


def _kept_threshold(store: Store, version: ModelVersion) -> float | None:
    with store.current():
        try:
            about = mlflow.models.get_model_info(f"models:/{version.name}/{version.version}").metadata or {}
        except (MlflowException, OSError):  # its files are gone
            return None
    return about.get("threshold")
