"""Looking at a folder before anything is read from it."""

import tomllib
from pathlib import Path

import pytest

from tests.xray.data.sources.folders import lay_out
from xray.data.sources.dataset_file import DATASET_FILE, write_dataset_file
from xray.data.sources.describe import describe
from xray.data.sources.read_source import read_source
from xray.errors import DataError


def test_a_table_of_unknown_columns_is_told_by_what_they_hold(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["x/1.png", "x/2.png", "x/3.png"])
    (folder / "liste.csv").write_text("Bild;Befund;Alter\n1;Pneumonia;40\n2;o.B.;41\n3;o.B.;42\n")
    found = describe(folder)
    assert [tuple(row[:2]) for row in found.tables["Columns"].rows] == [
        ("Bild", "file"),
        ("Befund", "label"),
        ("Alter", ""),
    ]
    assert found.tables["Words"].rows == [("o.B.", "2", "? unknown-label"), ("Pneumonia", "1", "pneumonia")]
    assert found.fault == "the columns of liste.csv must be named in a dataset.toml. Received: none"
    assert tomllib.loads(found.toml) == {
        "name": "ours",
        "table": "liste.csv",
        "columns": {"file": "Bild", "label": "Befund"},
        "labels": {"normal": [], "pneumonia": ["Pneumonia"], "leave_out": ["o.B."]},
    }


def test_the_first_dataset_toml_is_read_as_it_was_meant_once_it_is_edited(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["x/1.png", "x/2.png", "x/3.png"])
    (folder / "liste.csv").write_text("Bild;Befund\n1;Pneumonia\n2;o.B.\n3;o.B.\n")
    write_dataset_file(
        folder, describe(folder).toml.replace("normal = []", 'normal = ["o.B."]').replace('["o.B."]\n', "[]\n")
    )
    with pytest.raises(DataError, match="is written into a folder on disk that has none"):
        write_dataset_file(folder, "")
    text = (folder / DATASET_FILE).read_text().replace("normal = []", 'normal = ["o.B."]')
    (folder / DATASET_FILE).write_text(text)
    assert read_source(folder).rows["label"].tolist() == ["pneumonia", "normal", "normal"]
    assert describe(folder).fault == ""


def test_folders_are_counted_with_what_they_mean(tmp_path: Path) -> None:
    found = describe(lay_out(tmp_path, ["train/NORMAL/a.png", "train/PNEUMONIA/b.png", "test/NORMAL/c.png"]))
    assert set(found.tables["Words"].rows) == {
        ("train", "2", "train"), ("NORMAL", "2", "normal"), ("PNEUMONIA", "1", "pneumonia"), ("test", "1", "test"),
    }  # fmt: skip
    assert ("scans of unknown patient", "3") in found.tables["Read as"].rows
    assert len(found.tables["Examples"].rows) == 3


def test_what_cannot_be_read_is_told_with_why(tmp_path: Path) -> None:
    found = describe(lay_out(tmp_path, ["cats/a.png"]))
    assert found.fault.startswith("scans must lie in folders named by class")
    assert 'leave_out = ["cats"]' in found.toml


def test_of_a_public_layout_its_name_is_enough(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["00000001_000.png"])
    (folder / "list.csv").write_text("Image Index,Finding Labels\n00000001_000.png,No Finding\n")
    assert describe(folder).toml == 'layout = "nih-chestxray14"\ntable = "list.csv"\n'


def test_a_column_a_finding_is_proposed_as_such(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, [f"x/{number}.png" for number in range(3)])
    (folder / "list.csv").write_text(
        "Bild,No Finding,Pneumonia,Lung Lesion\nx/0.png,1.0,,\nx/1.png,0,1,\nx/2.png,,-1,1\n"
    )
    found = describe(folder)
    proposed = tomllib.loads(found.toml)
    assert proposed["columns"] == {"file": "Bild", "findings": {"normal": "No Finding", "pneumonia": "Pneumonia"}}
    assert '# lung-lesion = "Lung Lesion"' in found.toml
    write_dataset_file(folder, found.toml)
    assert read_source(folder).rows["label"].tolist() == ["normal", "pneumonia"]


def test_several_findings_in_a_cell_are_seen_and_no_pneumonia_is_dropped(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, [f"x/{number}.png" for number in range(3)])
    (folder / "list.csv").write_text("Bild,Befund\nx/0.png,Effusion|Pneumonia\nx/1.png,No Finding\nx/2.png,Effusion\n")
    proposed = tomllib.loads(describe(folder).toml)
    assert proposed["separator"] == "|"
    assert proposed["labels"] == {"normal": ["No Finding"], "pneumonia": ["Pneumonia"], "leave_out": ["Effusion"]}
    write_dataset_file(folder, describe(folder).toml)
    assert read_source(folder).rows["label"].tolist() == ["pneumonia", "normal"]


def test_a_finding_of_ones_own_is_proposed_and_needs_a_scheme(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["normal/a.png", "Lung Tuberculosis/b.png"])
    assert '# lung-tuberculosis = ["Lung Tuberculosis"]' in describe(folder).toml
    (folder / DATASET_FILE).write_text('[labels]\nlung-tuberculosis = ["Lung Tuberculosis"]\n')
    assert describe(folder).finding == "lung-tuberculosis"
