"""What an audit finds, on rows made by hand."""

import json

import pandas as pd
import pytest

from xray.config import Split
from xray.data.audit import Audit, audit, lines

COLUMNS = ["image_id", "official", "label", "subtype", "patient_id", "pixels_sha256"]


def rows_of(*rows: tuple[str, str, str, str, str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["path"] = table["official"] + "/" + table["image_id"]
    return table.assign(source="person", width=[100 + 10 * place for place in range(len(rows))], height=80)


@pytest.fixture
def rows() -> pd.DataFrame:
    return rows_of(
        ("person1_virus_1.jpeg", "train", "pneumonia", "viral", "person1", "p1"),
        ("person1_bacteria_2.jpeg", "train", "pneumonia", "bacterial", "person1", "p2"),
        ("person1_bacteria_3.jpeg", "test", "pneumonia", "bacterial", "person1", "p3"),
        ("IM-0001-0001.jpeg", "train", "normal", "normal", "IM-0001", "p4"),
        ("NORMAL2-IM-0001-0001.jpeg", "test", "normal", "normal", "IM-0001", "p5"),
    )


def rejected(found: Audit) -> dict[str, str]:
    return dict(zip(found.rejects["image_id"], found.rejects["reason"], strict=True))


def test_a_clean_set_is_kept_whole(rows: pd.DataFrame) -> None:
    found = audit(rows, [], Split())
    assert found.rejects.empty
    pd.testing.assert_frame_equal(found.rows, rows)
    assert found.findings["counts"] == {
        "test": {"normal": {"normal": 1}, "pneumonia": {"bacterial": 1}},
        "train": {"normal": {"normal": 1}, "pneumonia": {"bacterial": 1, "viral": 1}},
    }
    assert found.findings["sizes"]["train"]["pneumonia"] == {"width": [100, 105.0, 110], "height": [80, 80.0, 80]}
    assert found.findings["sources"] == {"person": {"normal": 2, "pneumonia": 3}}


def test_patients_on_both_sides_are_counted_under_three_rules_and_kept(rows: pd.DataFrame) -> None:
    found = audit(rows, [], Split())
    # person1 has bacterial scans on both sides; IM-0001 and NORMAL2-IM-0001 are one patient by the merged rule alone.
    assert found.findings["patients_on_both_sides"] == {"cause": 1, "person": 1, "merged": 2}


def test_patients_on_both_sides_are_dropped_from_training_when_asked(rows: pd.DataFrame) -> None:
    found = audit(rows, [], Split(drop_shared_patients=True))
    assert set(rejected(found).values()) == {"shared-patient"}
    assert found.rows["official"].unique().tolist() == ["test"]
    assert found.findings["rejected"] == {"shared-patient": 3}


def test_a_duplicate_of_a_test_scan_is_kept_out_of_training(rows: pd.DataFrame) -> None:
    rows.loc[3, "pixels_sha256"] = "p5"
    found = audit(rows, [], Split())
    assert found.rejects.to_dict("split")["data"] == [
        ["IM-0001-0001.jpeg", "train/IM-0001-0001.jpeg", "duplicate-of-test",
         "same pixels as test/NORMAL2-IM-0001-0001.jpeg"]
    ]  # fmt: skip
    assert found.findings["identical_pixels"]["crossing_groups"] == 1


def test_duplicates_within_training_are_reported_and_kept(rows: pd.DataFrame) -> None:
    rows.loc[1, "pixels_sha256"] = "p1"
    found = audit(rows, [], Split())
    assert found.rejects.empty
    assert found.findings["identical_pixels"] == {
        "groups": 1,
        "files": 2,
        "crossing_groups": 0,
        "conflicting_groups": 0,
        "patient_pairs": [],
    }


def test_same_pixels_under_different_labels_are_both_rejected(rows: pd.DataFrame) -> None:
    rows.loc[3, "pixels_sha256"] = "p1"
    found = audit(rows, [], Split())
    assert rejected(found) == {"IM-0001-0001.jpeg": "conflicting-labels", "person1_virus_1.jpeg": "conflicting-labels"}


def test_same_pixels_under_two_patients_are_named(rows: pd.DataFrame) -> None:
    rows = pd.concat([rows, rows_of(("person9_virus_9.jpeg", "train", "pneumonia", "viral", "person9", "p1"))])
    pairs = audit(rows, [], Split()).findings["identical_pixels"]["patient_pairs"]
    assert pairs == [[["train/person1_virus_1.jpeg", "person1"], ["train/person9_virus_9.jpeg", "person9"]]]


def test_findings_are_json_and_do_not_depend_on_the_order_of_rows(rows: pd.DataFrame) -> None:
    rows.loc[1, "pixels_sha256"] = "p1"
    one, other = (audit(table, ["a note"], Split()).findings for table in (rows, rows[::-1]))
    assert json.dumps(one) == json.dumps(other)


def test_the_lines_say_every_finding(rows: pd.DataFrame) -> None:
    found = lines(audit(rows, ["Normal: Summary says 3, metadata has 2"], Split()).findings)
    assert ("train pneumonia, viral", "1 scans") in found
    assert ("patients in train and test, rule merged", "2") in found
    assert ("identical pixels", "0 files in 0 groups") in found
    assert ("metadata", "Normal: Summary says 3, metadata has 2") in found
    assert ("size of train pneumonia", "width 100 / 105 / 110, height 80 / 80 / 80 px (least / median / most)") in found
