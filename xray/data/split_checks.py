"""Refuse data that cannot be split; commands check this before they start, without loading scikit-learn."""

import math
from collections.abc import Sequence

import pandas as pd

from xray.config import Scans, Split
from xray.data.audit import left_out
from xray.errors import DataError, TrainingError
from xray.labels import NORMAL, Scheme

MOST_WITHOUT_PATIENT = 0.05
"""The share of scans without a patient above which a split by patient is refused."""


def require_splittable(rows: pd.DataFrame, split: Split) -> None:
    """Refuse what no seed could split: known from the metadata alone, before a scan is decoded.

    Args:
        rows: One row a scan, with `label, official`.
        split: Folds.

    Raises:
        TrainingError: There are no TRAIN rows, or too few of a label.
    """
    if split.validation_fold >= split.folds:
        raise TrainingError(
            f"split.validation_fold must be below split.folds. Received: {split.validation_fold} of {split.folds}"
        )
    if not (rows["official"] != "test").any():
        raise TrainingError("the data set must have TRAIN scans. Received: only TEST scans")
    if (rows["official"] == "test").any():
        parts = rows["official"].map(lambda word: "test" if word == "test" else "train")
        require_both_labels(rows.assign(official=parts), "official", ("train", "test"))
        needed, fewest = split.folds, _fewest(rows.loc[parts == "train", "label"])
        if fewest < needed:
            raise TrainingError(f"each label must have at least {needed} TRAIN scans. Received: {fewest}")
    else:
        require_both_labels(rows.assign(official="data set"), "official", ("data set",))
        needed = split.folds + 1
        if _fewest(rows["label"]) < needed:
            received = label_counts(rows["label"])
            raise TrainingError(
                f"each label must have at least {needed} scans, so that TEST can be drawn. Received: {received}"
            )


def with_patients(rows: pd.DataFrame, split: Split) -> tuple[pd.DataFrame, list[str]]:
    """Refuse scans whose patients are not known, unless the split does not need them.

    Args:
        rows: One row a scan, with `path, patient_id`; the id is empty where the patient is not known.
        split: `group_by=none` takes each scan for a patient of its own.

    Returns:
        The rows with a patient each, and a note where patients were not known.

    Raises:
        TrainingError: More than `MOST_WITHOUT_PATIENT` of the scans have none.
    """
    unknown = rows["patient_id"] == ""
    if not unknown.any():
        return rows, []
    if split.group_by != "none" and unknown.sum() > MOST_WITHOUT_PATIENT * len(rows):
        raise TrainingError(
            "each scan must have a known patient, so that none is in both training and validation: dataset.toml may "
            "name a column of patients or a patient_pattern in file names, or --set split.group_by=none ignores them. "
            f"Received: {unknown.sum():,} of {len(rows):,} without, such as {rows.loc[unknown, 'image_id'].iloc[0]}"
        )
    note = f"{unknown.sum():,} of {len(rows):,} scans have no known patient: each counts as a patient of its own"
    if split.group_by == "none":
        note += ", and a patient may be in both training and validation"
    return rows.assign(patient_id=rows["patient_id"].where(~unknown, rows["path"])), [note]


def require_files(found: int, rejects: pd.DataFrame, scans: Scans) -> None:
    """Refuse metadata of which too many rows name no file.

    Args:
        found: Rows whose file is there.
        rejects: What was left out, with `path, reason`.
        scans: The greatest share.

    Raises:
        DataError: More rows are without a file, or no scan is left.
    """
    if not found:
        raise DataError(f"there must be scans to work on. Received: {left_out(rejects['reason']) or 'none'}")
    missing = rejects.loc[rejects["reason"] == "no-file", "path"]
    if len(missing) > scans.most_missing * (found + len(missing)):
        share = len(missing) / (found + len(missing))
        raise DataError(
            f"at most {scans.most_missing:.0%} of the rows may be without a file; --set scans.most_missing="
            f"{math.ceil(share * 100) / 100:g} goes on without them. Received: {len(missing):,} of "
            f"{found + len(missing):,}, such as {missing.iloc[0]}"
        )


def require_covered(rows: pd.DataFrame, scheme: Scheme) -> None:
    """Refuse scans of a label that a scheme says nothing of: they are neither its finding nor normal.

    Args:
        rows: One row a scan, with `label, subtype`.
        scheme: What shall be told apart.

    Raises:
        DataError: There are such scans.
    """
    strange = rows.loc[~rows["subtype"].map(scheme.covers).astype(bool), "label"]
    if len(strange):
        raise DataError(
            f"labels.scheme={scheme.name} tells {scheme.finding} from {NORMAL}; dataset.toml may leave_out other "
            f"labels, or a scheme's file name them. Received: {label_counts(strange)}"
        )


def require_both_labels(rows: pd.DataFrame, column: str, names: Sequence[str]) -> None:
    """Refuse rows of which a part has no scans without a finding, or none with one.

    Args:
        rows: One row a scan, with `label` and the column.
        column: Names each row's part.
        names: The parts that must have both.

    Raises:
        TrainingError: One of them has not.
    """
    finding = " or ".join(sorted(set(rows["label"]) - {NORMAL}) or ["scan with a finding"])
    for name in names:
        normal = rows.loc[rows[column] == name, "label"] == NORMAL
        missing = [label for label, there in ((finding, ~normal), (NORMAL, normal)) if not there.any()]
        if missing:
            raise TrainingError(
                f"each split must have scans of both labels. Received: no {' and no '.join(missing)} in {name}, "
                f"which has {label_counts(rows.loc[rows[column] == name, 'label'])}"
            )


def _fewest(labels: pd.Series) -> int:
    """Count the scans without a finding, or with one, whichever are fewer."""
    normal = int((labels == NORMAL).sum())
    return min(normal, len(labels) - normal)


def label_counts(labels: pd.Series) -> str:
    """Say how many scans each label has, most first."""
    counted = labels.value_counts()
    return ", ".join(f"{count:,} {label}" for label, count in counted.items()) or "none"
