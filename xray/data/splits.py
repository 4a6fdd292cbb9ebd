"""Cut the official TRAIN scans into folds that share neither a patient nor identical pixels."""

from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from xray.config import Split
from xray.data.split_checks import label_counts, require_both_labels, require_splittable
from xray.errors import TrainingError

DRAWN_OF = 20
"""TEST is drawn as some of at most so many parts. Few parts are met better, since a patient's scans stay together."""

TEST_FOLD = -1
"""The `fold` of a TEST scan, which belongs to none."""


def with_test(rows: pd.DataFrame, split: Split) -> tuple[pd.DataFrame, list[str]]:
    """Draw TEST, stratified and by patient as folds are, from each source that has none.

    Args:
        rows: One row a scan, with `image_id, label, subtype, patient_id, pixels_sha256, official, source`.
        split: The share, seed and grouping.

    Returns:
        The rows, each with an `official` split, and a note that says how TEST was drawn, if it was.

    Raises:
        TrainingError: There are too few patients for it.
    """
    rows = rows.sort_values("image_id", ignore_index=True)
    has_test, unsaid = (rows["official"] == "test").any(), rows["official"] == ""
    if has_test and not unsaid.any():
        return rows, []
    pool = rows[unsaid] if unsaid.any() else rows
    by_patient = split if split.group_by == "none" else split.model_copy(update={"group_by": "patient"})
    drawn = np.concatenate([_drawn(each, by_patient) for each in _pools(pool)])
    if not has_test and not len(drawn):
        counted = label_counts(pool["label"])
        raise TrainingError(f"there must be several scans of each label to draw TEST from. Received: {counted}")
    splits = rows["official"].replace("", "train")
    splits[drawn] = "test"
    by = "at random" if split.group_by == "none" else "by patient"
    of = f" of {', '.join(sorted(pool['source'].unique()))}" if has_test else ""
    said = f"TEST is not official: {len(drawn):,} of {len(pool):,} scans{of} were drawn {by}, with seed {split.seed}"
    return rows.assign(official=splits), [said]


def _pools(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Part the scans that TEST is drawn from by source; those of small sources are drawn from together."""
    large = rows.groupby(["source", "label"]).size().unstack(fill_value=0).min(axis=1) >= DRAWN_OF
    sources = [name for name, enough in large.items() if enough] if rows["label"].nunique() > 1 else []
    parts = [rows[rows["source"] == name] for name in sources]
    rest = rows[~rows["source"].isin(sources)]
    return [*parts, *([rest] if len(rest) else [])]


def _drawn(rows: pd.DataFrame, split: Split) -> NDArray[np.int64]:
    """Draw about `test_share` of the rows, and give their places; none where a label has a single scan."""
    fewest = int(rows["label"].value_counts().min())
    most = min(DRAWN_OF, fewest, rows["patient_id"].nunique())
    if most < 2:
        return np.array([], dtype=np.int64)
    share = max(Fraction(split.test_share).limit_denominator(most), Fraction(1, most))
    return rows.index[_folds(rows, split, share.denominator) < share.numerator].to_numpy()


def assign_folds(rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Give each scan a `split` and a `fold`.

    TRAIN scans are stratified by label and subtype. With `group_by="patient"`, scans that are linked by a patient id
    or by identical pixels, directly or through others, stay in one fold.

    Args:
        rows: One row a scan, with `image_id, label, subtype, patient_id, pixels_sha256, official`.
        split: Folds, seed and grouping.

    Returns:
        The rows in order of `image_id`, with `split` (train, validation, test) and `fold` (0 to folds - 1, or
        `TEST_FOLD`). The same rows in any order, with the same seed, give the same folds.

    Raises:
        TrainingError: There are no TRAIN or no TEST rows, or a split is without one of the labels.
    """
    require_splittable(rows, split)
    rows = rows.sort_values("image_id", ignore_index=True)
    in_train = (rows["official"] != "test").to_numpy()
    fold = np.full(len(rows), TEST_FOLD, dtype=np.int64)
    fold[in_train] = _train_folds(rows[in_train], split)
    names = np.where(fold == split.validation_fold, "validation", "train")
    assigned = rows.assign(split=np.where(in_train, names, "test"), fold=fold)
    require_both_labels(assigned, "split", ("train", "validation", "test"))
    return assigned


def linked_groups(*keys: pd.Series) -> NDArray[np.int32]:
    """Number the connected components of rows that share a value in any of the keys.

    Args:
        keys: Series of n values each. Equal values within one key link their rows; missing ones link nothing.

    Returns:
        int32 (n,), the same number for rows that are linked, directly or through others.
    """
    n = len(keys[0])
    links = []
    offset = n
    for key in keys:
        codes = pd.factorize(key)[0]
        known = np.flatnonzero(codes >= 0)
        links.append(np.stack([known, codes[known] + offset]))
        offset += int(codes.max(initial=-1)) + 1
    row, column = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(row), dtype=bool), (row, column)), shape=(offset, offset))
    return connected_components(graph, directed=False)[1][:n]


def _train_folds(rows: pd.DataFrame, split: Split) -> NDArray[np.int64]:
    """Cut TRAIN into folds; with `official_validation`, the data set's own validation scans are the validation fold."""
    own = (rows["official"] == "validation").to_numpy(copy=True)
    if not (split.official_validation and own.any()):
        return _folds(rows, split, split.folds)
    if split.group_by != "none":  # who has validation scans has no training scans
        groups = linked_groups(rows["patient_id"], rows["pixels_sha256"])
        own |= np.isin(groups, groups[own])
    fold = np.full(len(rows), split.validation_fold, dtype=np.int64)
    others = [number for number in range(split.folds) if number != split.validation_fold]
    if own.all():
        raise TrainingError("there must be training scans beside the data set's own validation scans. Received: none")
    fold[~own] = np.array(others)[_folds(rows[~own], split, len(others))] if len(others) > 1 else others[0]
    return fold


def _source_folds(sources: pd.Series, folds: int) -> NDArray[np.int64]:
    """Make each source a fold, in order of their names."""
    names = sorted(sources.unique())
    if len(names) != folds or folds < 2:
        raise TrainingError(
            f"split.group_by=source needs at least two sources, and split.folds as many as there are. Received: "
            f"split.folds={folds} and {len(names)} ({', '.join(names)})"
        )
    return sources.map(names.index).to_numpy(dtype=np.int64)


def _folds(rows: pd.DataFrame, split: Split, folds: int) -> NDArray[np.int64]:
    if split.group_by == "source":
        return _source_folds(rows["source"], folds)
    if rows["label"].value_counts().min() < folds:
        counted = label_counts(rows["label"])
        raise TrainingError(f"each label must have at least {folds} scans to be split so. Received: {counted}")
    strata = rows["label"] + "/" + rows["subtype"]
    # A subtype with fewer scans than folds cannot be spread over them: it counts with its label's largest.
    rare = strata.map(strata.value_counts()) < folds
    largest = rows["label"].map(strata.groupby(rows["label"]).agg(lambda each: each.mode()[0]))
    strata = strata.mask(rare, largest).to_numpy(dtype=str)
    fold = np.empty(len(rows), dtype=np.int64)
    if split.group_by == "none":
        parts = StratifiedKFold(folds, shuffle=True, random_state=split.seed).split(strata, strata)
    else:
        groups = linked_groups(rows["patient_id"], rows["pixels_sha256"])
        if (several := len(np.unique(groups))) < folds:
            raise TrainingError(f"there must be scans of at least {folds} patients to split. Received: {several}")
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=split.seed).split(strata, strata, groups)
    for number, (_, held_out) in enumerate(parts):
        fold[held_out] = number
    return fold
