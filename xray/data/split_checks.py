"""Refuse data that cannot be split; commands check this before they start, without loading scikit-learn."""

from collections.abc import Sequence

import pandas as pd

from xray.config import Split
from xray.errors import TrainingError
from xray.labels import LABELS


def require_splittable(rows: pd.DataFrame, split: Split) -> None:
    """Refuse what no seed could split: known from the metadata alone, before a scan is decoded.

    Args:
        rows: One row a scan, with `label, official`.
        split: Folds.

    Raises:
        TrainingError: There are no TRAIN or no TEST rows, or too few of a label.
    """
    if split.validation_fold >= split.folds:
        raise TrainingError(
            f"split.validation_fold must be below split.folds. Received: {split.validation_fold} of {split.folds}"
        )
    for official in ("train", "test"):
        if not (rows["official"] == official).any():
            raise TrainingError(
                f"the data set must have both TRAIN and TEST scans. Received: no {official.upper()} scans"
            )
    require_both_labels(rows, "official", ("train", "test"))
    fewest = rows.loc[rows["official"] == "train", "label"].value_counts().min()
    if fewest < split.folds:
        raise TrainingError(f"each label must have at least {split.folds} TRAIN scans. Received: {fewest}")


def require_both_labels(rows: pd.DataFrame, column: str, names: Sequence[str]) -> None:
    """Refuse rows of which a part has but one label.

    Args:
        rows: One row a scan, with `label` and the column.
        column: Names each row's part.
        names: The parts that must have both labels.

    Raises:
        TrainingError: One of them has not.
    """
    for name in names:
        present = set(rows.loc[rows[column] == name, "label"])
        missing = [label for label in LABELS if label not in present]
        if missing:
            raise TrainingError(
                f"each split must have scans of both labels. Received: no {' and no '.join(missing)} in {name}"
            )
