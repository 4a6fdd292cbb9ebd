"""Folders named by class, with and without splits above them."""

from pathlib import Path

import pytest

from tests.xray.data.sources.folders import lay_out
from xray.data.sources.read_source import read_source
from xray.errors import DataError

KAGGLE = [
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/PNEUMONIA/person1_bacteria_1.jpeg",
    "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
    "test/PNEUMONIA/person1_virus_6.jpeg",
]


@pytest.mark.parametrize("above", ["", "chest_xray/"])
def test_kaggles_chest_xray_is_read_with_its_patients(tmp_path: Path, above: str) -> None:
    rows = read_source(lay_out(tmp_path, [above + file for file in KAGGLE])).rows
    assert rows[["label", "subtype", "official", "patient_id"]].to_numpy().tolist() == [
        ["pneumonia", "pneumonia", "test", "person1"],
        ["normal", "normal", "train", "IM-0115"],
        ["pneumonia", "pneumonia", "train", "person1"],
        ["normal", "normal", "validation", "IM-1427"],
    ]


def test_without_splits_the_official_split_is_empty_and_patients_are_unknown(tmp_path: Path) -> None:
    rows = read_source(lay_out(tmp_path, ["Normal/a.png", "Viral Pneumonia/b.png", "COVID-19/c.png"])).rows
    assert rows[["image_id", "subtype", "official", "patient_id"]].to_numpy().tolist() == [
        ["c.png", "covid-19", "", ""],
        ["a.png", "normal", "", ""],
        ["b.png", "viral", "", ""],
    ]


def test_names_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    rows = read_source(lay_out(tmp_path, ["normal/1.png", "pneumonia/1.png", "normal/2.png"])).rows
    assert rows["image_id"].tolist() == ["normal/1.png", "2.png", "pneumonia/1.png"]


def test_dataset_toml_says_what_other_folders_mean(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["gesund/a.png", "Pneumonie/b.png", "unklar/c.png"])
    (folder / "dataset.toml").write_text(
        "patient_pattern = '/(.)'\n[labels]\nnormal = ['gesund']\npneumonia = ['Pneumonie']\nleave_out = ['unklar']\n"
    )
    metadata = read_source(folder)
    assert metadata.rows[["label", "patient_id"]].to_numpy().tolist() == [["pneumonia", "b"], ["normal", "a"]]
    assert metadata.rejects["reason"].tolist() == ["left-out-label"]


def test_linked_folders_of_splits_and_classes_are_read(tmp_path: Path) -> None:
    lay_out(tmp_path / "elsewhere", ["NORMAL/a.png", "sick/b.png"])
    folder = lay_out(tmp_path / "data", ["train/NORMAL/c.png"])
    (folder / "test").symlink_to(tmp_path / "elsewhere")
    (folder / "train" / "PNEUMONIA").symlink_to(tmp_path / "elsewhere" / "sick")
    (folder / "dataset.toml").write_text("[labels]\npneumonia = ['pneumonia', 'sick']\n")
    rows = read_source(folder).rows
    assert rows[["path", "label", "official"]].to_numpy().tolist() == [
        ["test/NORMAL/a.png", "normal", "test"],
        ["test/sick/b.png", "pneumonia", "test"],
        ["train/NORMAL/c.png", "normal", "train"],
        ["train/PNEUMONIA/b.png", "pneumonia", "train"],
    ]


def test_hidden_files_and_what_is_no_picture_are_no_scans(tmp_path: Path) -> None:
    files = ["normal/a.png", "normal/.DS_Store", "__MACOSX/normal/._a.png", "normal/Thumbs.db", "readme.txt"]
    metadata = read_source(lay_out(tmp_path, files))
    assert metadata.rows["path"].tolist() == ["normal/a.png"]
    assert metadata.rejects.empty


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["cats/a.png", "cats/b.png", "dogs/c.png"],
            "Received: .*, with 3 of 3 scans elsewhere: 2 in folder cats, 1 in folder dogs",
        ),
        (["a.png"], "with 1 of 1 scans elsewhere: 1 in folder none"),
        ([], "there must be scans in folders named by class"),
    ],
)
def test_folders_of_other_names_are_refused_with_their_counts(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_source(lay_out(tmp_path, files))
    assert "\n" not in str(caught.value)


def test_a_link_out_of_the_folder_and_a_name_that_is_no_text_are_rejected(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "data", ["normal/a.png", "normal/b\n.png"])
    (tmp_path / "secret.png").touch()
    (folder / "normal" / "c.png").symlink_to(tmp_path / "secret.png")
    metadata = read_source(folder)
    assert metadata.rows["path"].tolist() == ["normal/a.png"]
    assert metadata.rejects["reason"].tolist() == ["unsafe-name", "unsafe-name"]


def test_every_other_folder_may_be_left_out(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["normal/a.png", "pneumonia/b.png", "nodule/c.png", "mass/d.png"])
    (folder / "dataset.toml").write_text('[labels]\nleave_out = ["*"]\n')
    metadata = read_source(folder)
    assert metadata.rows["label"].tolist() == ["normal", "pneumonia"]
    assert metadata.rejects["reason"].tolist() == ["left-out-label"] * 2


def test_a_folder_without_scans_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there must be scans in folders named by class. Received: none in"):
        read_source(lay_out(tmp_path, ["notes.txt"]))
