"""One door for every layout: what a folder is taken for, and the public layouts that ship as a file each."""

from pathlib import Path

import pytest

from tests.conftest import send
from tests.xray.data.sources.folders import lay_out
from xray.data.sources.dataset_file import layout_names, shipped_layout
from xray.data.sources.read_source import read_source, source_at
from xray.errors import DataError
from xray.files.s3 import S3Path

LAYOUTS = {
    "nih-chestxray14": (
        "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,\n"
        "00000013_005.png,Pneumonia|Infiltration,5,13,60,F,AP,2500,2048,0.168,0.168,\n",
        [f"images_00{part}/images/{name}.png" for part, name in ((1, "00000002_000"), (2, "00000013_005"))],
        [["normal", "2", "M", "81"], ["pneumonia", "13", "F", "60"]],
    ),
    "chexpert": (
        "train.csv",
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
        "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,"
        "Pleural Other,Fracture,Support Devices\n"
        "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0\n"
        "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,,,,,,1.0,,,-1.0,,1.0,\n"
        "CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,,,,,1.0,,,,,1.0,\n"
        "CheXpert-v1.0-small/train/patient00003/study1/view1_frontal.jpg,Male,41,Frontal,AP,,,,,,,,-1.0,,0.0,,,,\n",
        [
            "train/patient00001/study1/view1_frontal.jpg",
            "train/patient00002/study2/view1_frontal.jpg",
            "train/patient00002/study1/view2_lateral.jpg",
            "train/patient00003/study1/view1_frontal.jpg",
        ],
        [["normal", "patient00001", "F", "68"], ["pneumonia", "patient00002", "F", "87"]],
    ),
    "rsna-pneumonia": (
        "stage_2_detailed_class_info.csv",
        "patientId,class\n0004cfab,No Lung Opacity / Not Normal\n00313ee0,Normal\n"
        "00322d4d,Lung Opacity\n00322d4d,Lung Opacity\n",
        [f"stage_2_train_images/{name}.dcm" for name in ("0004cfab", "00313ee0", "00322d4d")],
        [["normal", "00313ee0", "", ""], ["pneumonia", "00322d4d", "", ""]],
    ),
    "padchest": (
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
        "MethodProjection,Pediatric,Labels\n"
        "0,a.png,0,20140915,s1,p1,1930,F,POSTEROANTERIOR,PA,Manual,No,\"['normal']\"\n"
        "1,b.png,0,20140915,s2,p2,1931,M,POSTEROANTERIOR,PA,Manual,No,\"['pneumonia', 'infiltrates']\"\n"
        "2,c.png,0,20140915,s2,p2,1931,M,LATERAL,L,Manual,No,\"['pneumonia']\"\n"
        "3,d.png,0,20140915,s3,p3,1931,M,POSTEROANTERIOR,PA,Manual,No,\"['cardiomegaly']\"\n",
        [f"0/{name}.png" for name in "abcd"],
        [["normal", "p1", "F", ""], ["pneumonia", "p2", "M", ""]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_public_layout_is_known_by_its_header_and_needs_no_file_of_ones_own(tmp_path: Path, name: str) -> None:
    table, text, files, expected = LAYOUTS[name]
    folder = lay_out(tmp_path, files)
    (folder / table).write_text(text)
    source = source_at(folder)
    assert (source.kind, source.table) == (f"a table in the layout {name}", table)
    rows = read_source(folder).rows.reindex(columns=["label", "patient_id", "sex", "age"], fill_value="")
    assert rows.to_numpy().tolist() == expected


def test_every_shipped_layout_is_tested_and_no_longer_than_it_need_be() -> None:
    assert set(layout_names()) == {*LAYOUTS, "kermany"}
    assert all(shipped_layout(name).name == name for name in layout_names())


def test_a_layout_is_changed_by_a_dataset_toml_that_names_it(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["00000001_000.png", "00000002_001.png"])
    (folder / "list.csv").write_text(
        "Image Index,Finding Labels\n00000001_000.png,No Finding\n00000002_001.png,Edema\n"
    )
    (folder / "dataset.toml").write_text("layout = 'nih-chestxray14'\nname = 'ours'\n[labels]\npneumonia = ['Edema']\n")
    rows = read_source(folder).rows
    assert rows[["label", "source", "patient_id"]].to_numpy().tolist() == [
        ["normal", "ours", "00000001"],
        ["pneumonia", "ours", "00000002"],
    ]


def test_two_tables_that_would_do_are_refused_by_name(tmp_path: Path) -> None:
    _, text, files, _ = LAYOUTS["padchest"]
    folder = lay_out(tmp_path, files)
    for name in ("one.csv", "two.csv"):
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=r"dataset.toml names it as table. Received: one.csv, two.csv"):
        read_source(folder)


def test_chexperts_own_folder_with_both_its_tables_is_read(tmp_path: Path) -> None:
    table, text, files, expected = LAYOUTS["chexpert"]
    folder = lay_out(tmp_path / "CheXpert-v1.0-small", files)
    for name in (table, "valid.csv"):
        (folder / name).write_text(text)
    assert read_source(folder).rows["patient_id"].tolist() == [row[1] for row in expected]


@pytest.mark.parametrize("table", ["metadata.csv", "Chest_xray_Corona_Metadata.csv"])
def test_a_dataset_toml_that_only_says_private_changes_nothing_else(tmp_path: Path, table: str) -> None:
    if table == "metadata.csv":
        folder = lay_out(tmp_path, ["a.png"])
        (folder / table).write_text("file_name,label,patient\na.png,normal,1\n")
    else:
        folder = lay_out(tmp_path, ["train/IM-0001-0001.jpeg", "test/none.jpeg"])
        (folder / table).write_text(
            "X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category\n"
            "IM-0001-0001.jpeg,Normal,TRAIN,,\n"
        )
    (folder / "dataset.toml").write_text("private = true\n")
    metadata = read_source(folder)
    assert metadata.private
    assert len(metadata.rows) == 1


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be an existing folder. Received: .*nowhere"):
        read_source(tmp_path / "nowhere")


@pytest.mark.parametrize("layout", ["table", "folders"])
def test_a_folder_at_a_server_reads_as_on_disk(tmp_path: Path, bucket: S3Path, layout: str) -> None:
    folder = lay_out(tmp_path, ["normal/a.png", "pneumonia/b.png"])
    if layout == "table":
        (folder / "metadata.csv").write_text("file_name,label,patient\na.png,normal,1\nb.png,pneumonia,2\n")
    address = send(folder, bucket / "scans")
    assert read_source(address).rows.equals(read_source(folder).rows)
