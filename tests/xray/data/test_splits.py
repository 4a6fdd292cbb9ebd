"""Folds that share neither a patient nor identical pixels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray.config import Split
from xray.data.splits import TEST_FOLD, assign_folds, linked_groups, with_test
from xray.errors import TrainingError

SUBTYPES = {"normal": ["normal"], "pneumonia": ["bacterial", "viral"]}


def rows_of(patients: list[int], pixels: list[int], test: int = 8) -> pd.DataFrame:
    """TRAIN rows with the given patients and pixels, labels in turn, and some TEST rows."""
    n = len(patients)
    labels = ["pneumonia" if place % 4 else "normal" for place in range(n)]
    train = pd.DataFrame(
        {
            "image_id": [f"train-{place:04d}.jpeg" for place in range(n)],
            "label": labels,
            "subtype": [SUBTYPES[label][place % len(SUBTYPES[label])] for place, label in enumerate(labels)],
            "patient_id": [f"patient{number}" for number in patients],
            "pixels_sha256": [f"pixels{number}" for number in pixels],
            "official": "train",
        }
    )
    later = train.head(test).assign(
        image_id=[f"test-{place}.jpeg" for place in range(test)], official="test", patient_id="other", pixels_sha256="x"
    )
    return pd.concat([train, later], ignore_index=True)


ROWS = rows_of([place // 3 for place in range(300)], list(range(300)))


def test_a_fifth_of_train_is_validation_and_test_is_the_official_one() -> None:
    assigned = assign_folds(ROWS, Split())
    assert assigned["split"].value_counts().to_dict() == {"train": 240, "validation": 60, "test": 8}
    assert (assigned["split"] == "test").equals(assigned["official"] == "test")
    assert set(assigned.loc[assigned["split"] == "validation", "fold"]) == {0}
    assert set(assigned.loc[assigned["split"] == "train", "fold"]) == {1, 2, 3, 4}
    assert set(assigned.loc[assigned["split"] == "test", "fold"]) == {TEST_FOLD}


def test_each_fold_has_its_share_of_every_subtype() -> None:
    assigned = assign_folds(ROWS, Split())
    shares = pd.crosstab(assigned["fold"], assigned["subtype"], normalize="index").drop(index=TEST_FOLD)
    assert (shares.max() - shares.min()).max() < 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_patient_and_no_pixels_lie_in_two_folds(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = rows_of(draw.integers(0, 80, 160).tolist(), draw.integers(0, 800, 160).tolist())
    train = assign_folds(rows, Split(seed=seed)).query("official == 'train'")
    assert (train.groupby("patient_id")["fold"].nunique() == 1).all()
    assert (train.groupby("pixels_sha256")["fold"].nunique() == 1).all()


def test_links_reach_through_others() -> None:
    # 0 and 1 share a patient, 1 and 2 share pixels, 3 stands alone, and a missing value links nothing.
    patients = pd.Series(["a", "a", "b", "c", None, None])
    pixels = pd.Series(["p", "q", "q", "r", "s", "t"])
    groups = linked_groups(patients, pixels)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 4


def test_the_same_seed_gives_the_same_folds_whatever_the_order_of_the_rows() -> None:
    shuffled = ROWS.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(assign_folds(ROWS, Split()), assign_folds(shuffled, Split()))


def test_another_seed_gives_other_folds() -> None:
    one, other = (assign_folds(ROWS, Split(seed=seed))["fold"].to_numpy() for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_without_grouping_patients_are_torn_apart_as_in_the_article() -> None:
    assigned = assign_folds(ROWS, Split(group_by="none"))
    train = assigned[assigned["official"] == "train"]
    assert (train.groupby("patient_id")["fold"].nunique() > 1).any()


def test_a_subtype_with_fewer_scans_than_folds_is_no_obstacle() -> None:
    rows = ROWS.copy()
    rows.loc[rows["image_id"].isin(["train-0001.jpeg", "train-0002.jpeg"]), "subtype"] = "ards"
    assert assign_folds(rows, Split())["split"].value_counts()["validation"] == 60


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS[ROWS["official"] == "test"], "only TEST scans"),
        (ROWS[(ROWS["official"] == "test") | (ROWS["label"] == "pneumonia")], "no normal in train"),
        (ROWS[(ROWS["official"] == "train") | (ROWS["label"] == "normal")], "no pneumonia in test"),
        (ROWS.groupby(["official", "label"]).head(4), "at least 5 TRAIN scans"),
        (rows_of([0] * 40, list(range(40))), "at least 5 patients"),
    ],
)
def test_a_split_without_one_of_the_labels_is_refused(rows: pd.DataFrame, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        assign_folds(rows, Split())


def test_the_validation_fold_must_be_one_of_the_folds() -> None:
    with pytest.raises(TrainingError, match=r"Received: 5 of 5"):
        assign_folds(ROWS, Split(validation_fold=5))


def test_whole_sources_are_held_out() -> None:
    rows = ROWS.assign(source=["north", "south", "west"] * (len(ROWS) // 3) + ["west"] * (len(ROWS) % 3))
    assigned = assign_folds(rows, Split(folds=3, group_by="source"))
    trained = assigned[assigned["split"] != "test"]
    assert trained.groupby("fold")["source"].unique().map(list).tolist() == [["north"], ["south"], ["west"]]
    with pytest.raises(TrainingError, match=r"split.folds=5 and 3 \(north, south, west\)"):
        assign_folds(rows, Split(folds=5, group_by="source"))


def test_a_test_is_drawn_by_patient_and_with_both_labels_where_there_is_none() -> None:
    rows = ROWS[ROWS["official"] == "train"].assign(official="", source="ours")
    drawn, (note,) = with_test(rows, Split())
    test = drawn["official"] == "test"
    assert set(drawn.loc[test, "label"]) == {"normal", "pneumonia"}
    assert set(drawn.loc[test, "patient_id"]).isdisjoint(drawn.loc[~test, "patient_id"])
    assert 0.1 < test.mean() < 0.3
    assert note == f"TEST is not official: {test.sum()} of {len(rows)} scans were drawn by patient, with seed 0"
    again, _ = with_test(rows.sample(frac=1, random_state=0), Split())
    pd.testing.assert_frame_equal(again, drawn)


def test_a_data_sets_own_validation_joins_train_unless_asked() -> None:
    rows = ROWS.copy()
    own = rows.index[rows["official"] == "train"][:40]
    rows.loc[own, "official"] = "validation"
    names = set(rows.loc[own, "image_id"])
    assert set(assign_folds(rows, Split())["fold"]) == {-1, 0, 1, 2, 3, 4}
    kept = assign_folds(rows, Split(official_validation=True))
    validation = kept["split"] == "validation"
    assert names <= set(kept.loc[validation, "image_id"])
    trained = kept.loc[kept["split"] == "train", "patient_id"]
    assert set(kept.loc[validation, "patient_id"]).isdisjoint(trained), "who has validation scans has no training scans"


@pytest.mark.parametrize(("share", "scans"), [(0.1, 200), (0.35, 200), (0.45, 200), (0.2, 30), (0.05, 30)])
def test_the_share_of_test_is_met_to_within_a_twentieth(share: float, scans: int) -> None:
    rows = ROWS[ROWS["official"] == "train"].groupby("label").head(scans // 2).assign(official="", source="ours")
    rows["patient_id"] = rows["image_id"]
    drawn, _ = with_test(rows, Split(test_share=share))
    assert abs((drawn["official"] == "test").mean() - share) <= 0.05


def test_patients_of_several_scans_move_the_share_of_test_by_little() -> None:
    rows = ROWS[ROWS["official"] == "train"].assign(official="", source="ours")
    rows["patient_id"] = [f"p{number // 3}" for number in range(len(rows))]
    drawn, _ = with_test(rows, Split())
    assert abs((drawn["official"] == "test").mean() - 0.2) <= 0.02


def test_a_test_is_drawn_from_each_source_that_has_none() -> None:
    train = ROWS[ROWS["official"] == "train"]
    rows = pd.concat([ROWS.assign(source="north"), train.assign(source="south", official="")])
    rows["image_id"] = rows["source"] + rows["image_id"]
    drawn, (note,) = with_test(rows, Split())
    assert (drawn[drawn["source"] == "north"]["official"] == "test").sum() == (ROWS["official"] == "test").sum()
    assert 0.1 < (drawn[drawn["source"] == "south"]["official"] == "test").mean() < 0.3
    assert f"of {len(train)} scans of south" in note


def test_too_few_scans_for_the_folds_are_refused_in_one_line() -> None:
    few = ROWS[ROWS["official"] == "train"].groupby("label").head(1).assign(official="", source="ours")
    with pytest.raises(TrainingError, match="several scans of each label to draw TEST from. Received: 1 "):
        with_test(few, Split())
