"""What DICOM files say of themselves, where no table says it."""

from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pydicom
import pytest

from tests.xray.data.decoding.dicom_files import film
from xray.data.decoding import scan_files
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.data.sources.read_source import read_source

PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def put(path: Path, **tags: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(film(PIXELS, 12, **tags))


def test_patient_view_sex_age_and_month_come_from_the_tags(tmp_path: Path) -> None:
    put(tmp_path / "normal" / "1", PatientID="A", ViewPosition="PA", PatientSex="F", PatientAge="058Y")
    put(tmp_path / "pneumonia" / "2.dcm", PatientID="B", PatientAge="018M", StudyDate="20200315")
    metadata = read_source(tmp_path)
    rows = metadata.rows[["label", "patient_id", "view", "sex", "age", "date"]].to_numpy().tolist()
    assert rows == [["normal", "A", "PA", "F", "58", ""], ["pneumonia", "B", "", "", "1.5", "2020-03"]]
    assert metadata.private
    assert metadata.notes == ["patients by the tag PatientID: 2 of 2 scans", "1 scans have no view"]


def test_the_table_wins_over_the_tags(tmp_path: Path) -> None:
    put(tmp_path / "1.dcm", PatientID="A", PatientSex="F", ViewPosition="PA")
    (tmp_path / "metadata.csv").write_text("file_name,label,patient,sex\n1.dcm,normal,P,M\n")
    rows = read_source(tmp_path).rows
    assert rows[["patient_id", "sex", "view"]].to_numpy().tolist() == [["P", "M", "PA"]]


def test_lateral_films_are_left_out(tmp_path: Path) -> None:
    put(tmp_path / "normal" / "1.dcm", PatientID="A", ViewPosition="LL")
    put(tmp_path / "normal" / "2.dcm", PatientID="A", ViewPosition="AP")
    metadata = read_source(tmp_path)
    assert metadata.rows["image_id"].tolist() == ["2.dcm"]
    assert metadata.rejects["reason"].tolist() == ["left-out-view"]


def test_text_burned_into_pixels_is_counted(tmp_path: Path) -> None:
    put(tmp_path / "normal" / "1.dcm", PatientID="A", BurnedInAnnotation="YES")
    assert "1 scans say that text is burned into their pixels" in read_source(tmp_path).notes


def test_dataset_toml_may_say_that_a_source_is_public(tmp_path: Path) -> None:
    put(tmp_path / "normal" / "1.dcm", PatientID="A")
    (tmp_path / "dataset.toml").write_text("private = false\n")
    assert not read_source(tmp_path).private


def test_a_broken_file_has_no_tags_and_stays_a_row(tmp_path: Path) -> None:
    put(tmp_path / "normal" / "1.dcm", PatientID="A")
    (tmp_path / "normal" / "2.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (tmp_path / "normal" / "3.dcm").write_bytes(b"")
    assert len(read_source(tmp_path).rows) == 3


def test_phantoms_as_dicom_say_whose_they_are(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", scans=40, size=(64, 64), layout="dicom")
    metadata = read_source(tmp_path / "data")
    assert len(metadata.rows) == 40
    assert metadata.rows["patient_id"].str.startswith("PHANTOM-").all()
    assert set(metadata.rows["label"]) == {"normal", "pneumonia"}
    header = pydicom.dcmread(BytesIO((tmp_path / "data" / metadata.rows["path"][0]).read_bytes()))
    assert str(header.PatientName).startswith("Phantom^Person")


@pytest.mark.parametrize("name", ["SMITH.JOHN.1.2.840.1", "film.img"])
def test_dicom_is_private_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    put(tmp_path / "normal" / name, PatientID="A")
    metadata = read_source(tmp_path)
    assert metadata.private
    assert metadata.rows["patient_id"].tolist() == ["A"]


def test_a_tag_fills_no_single_gap_of_a_column_of_patients(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path / f"{number}.dcm", PatientID=f"ID{number // 2}")
    rows = ["0.dcm,normal,T", "1.dcm,normal,", "2.dcm,normal,U", "3.dcm,normal,"]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label,patient", *rows, ""]))
    assert read_source(tmp_path).rows["patient_id"].tolist() == ["T", "", "U", ""]


def test_no_file_outside_the_folder_is_opened(tmp_path: Path) -> None:
    put(tmp_path / "outside" / "1.dcm", PatientID="A")
    put(tmp_path / "data" / "normal" / "2.dcm", PatientID="B")
    (tmp_path / "data" / "normal" / "link.dcm").symlink_to(tmp_path / "outside" / "1.dcm")
    (tmp_path / "data" / "metadata.csv").write_text(
        "file_name,label\nnormal/2.dcm,normal\n../outside/1.dcm,normal\nnormal/link.dcm,normal\nnor\0mal.dcm,normal\n"
    )
    with patch("xray.data.sources.dicom_tags.scan_files.opened", side_effect=scan_files.opened) as opened:
        metadata = read_source(tmp_path / "data")
    assert [Path(call.args[0]).name for call in opened.call_args_list] == ["2.dcm"]
    assert metadata.rows["patient_id"].tolist() == ["B"]
    assert set(metadata.rejects["reason"]) <= {"unsafe-name", "no-file"}
