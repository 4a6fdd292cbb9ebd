"""A table beside the scans, in whatever columns and words a hospital has."""

import datetime
from pathlib import Path

import pandas as pd
import pytest

from tests.xray.data.sources.folders import lay_out
from xray.data.sources.dataset_file import Dataset
from xray.data.sources.file_names import find
from xray.data.sources.metadata import Metadata
from xray.data.sources.read_source import read_source
from xray.errors import DataError


def folder_of(folder: Path, table: str, files: list[str], toml: str = "", name: str = "metadata.csv") -> Path:
    """Lay out a data folder: a table, files of no content, and a `dataset.toml` where one is given."""
    lay_out(folder, files)
    (folder / name).write_text(table)
    if toml:
        (folder / "dataset.toml").write_text(toml)
    return folder


def reasons(metadata: Metadata) -> dict[str, str]:
    return dict(zip(metadata.rejects["image_id"], metadata.rejects["reason"], strict=True))


def test_every_usual_column_is_read_by_its_name(tmp_path: Path) -> None:
    table = (
        "file_name,label,patient,split,cause,view,sex,age,site,date\n"
        "a.png,Pneumonia,p1,train,bacterial,PA,female,058Y,north,2020-01\n"
        "b/c.png,No Finding,p2,test,,,M,3,,\n"
    )
    metadata = read_source(folder_of(tmp_path, table, ["a.png", "b/c.png"]))
    assert metadata.rows.to_dict("records") == [
        {
            "image_id": "a.png", "path": "a.png", "label": "pneumonia", "subtype": "bacterial", "source": "table",
            "patient_id": "p1", "official": "train", "view": "PA", "sex": "F", "age": "58", "site": "north",
            "date": "2020-01",
        },
        {
            "image_id": "c.png", "path": "b/c.png", "label": "normal", "subtype": "normal", "source": "table",
            "patient_id": "p2", "official": "test", "view": "", "sex": "M", "age": "3", "site": "", "date": "",
        },
    ]  # fmt: skip
    assert metadata.rejects.empty
    assert "1 scans have no view" in metadata.notes


def test_a_pneumonia_of_unknown_cause_is_a_label(tmp_path: Path) -> None:
    table = "file_name,label,cause,patient\n" + "".join(
        f"{place}.png,pneumonia,{cause},{place}\n"
        for place, cause in enumerate(["", "nan", "None", "unknown", "Virus"])
    )
    rows = read_source(folder_of(tmp_path, table, [f"{place}.png" for place in range(5)])).rows
    assert rows["subtype"].tolist() == ["pneumonia"] * 4 + ["viral"]


def test_blank_rows_and_other_delimiters_of_a_spreadsheet_are_read(tmp_path: Path) -> None:
    table = "file_name;label;patient\na.png;normal;1\n;;\n;;\nb.png;pneumonia;2\n"
    metadata = read_source(folder_of(tmp_path, table, ["a.png", "b.png"]))
    assert metadata.rows["image_id"].tolist() == ["a.png", "b.png"]
    assert metadata.rejects.empty


def test_a_parquet_table_reads_as_the_csv(tmp_path: Path) -> None:
    values = {"file_name": ["a.png", "b.png"], "label": ["normal", "pneumonia"], "patient": [7, 8], "age": [58.0, None]}
    folder = folder_of(tmp_path, "", ["a.png", "b.png"], name="unused.txt")
    pd.DataFrame(values).to_parquet(folder / "metadata.parquet")
    from_parquet = read_source(folder).rows
    (folder / "metadata.parquet").unlink()
    (folder / "metadata.csv").write_text("file_name,label,patient,age\na.png,normal,7,58\nb.png,pneumonia,8,\n")
    pd.testing.assert_frame_equal(from_parquet, read_source(folder).rows)


@pytest.mark.parametrize("name", ["scans/A.PNG", "a", "a.jpeg", " a.png ", "other/a.png", "a.dcm", r"scans\a.png"])
def test_a_name_with_another_ending_case_folder_or_blanks_names_the_one_file(tmp_path: Path, name: str) -> None:
    table = f"file_name,label,patient\n{name},normal,1\nscans/b.png,pneumonia,2\n"
    metadata = read_source(folder_of(tmp_path, table, ["scans/a.png", "scans/b.png"]))
    assert metadata.rows["path"].tolist() == ["scans/a.png", "scans/b.png"]


def test_a_name_in_another_unicode_form_names_the_file(tmp_path: Path) -> None:
    table = "file_name,label,patient\nro\u0308ntgen.png,normal,1\nb.png,pneumonia,2\n"
    assert len(read_source(folder_of(tmp_path, table, ["r\u00f6ntgen.png", "b.png"])).rows) == 2


def test_of_files_with_one_name_the_rows_folder_decides_and_without_one_none_is_taken(tmp_path: Path) -> None:
    table = "file_name,label,patient\nx/a.png,normal,1\na.png,pneumonia,2\nc.png,pneumonia,3\n"
    files = ["scans/x/a.png", "scans/y/a.png", "c.png"]
    metadata = read_source(folder_of(tmp_path, table, files))
    assert metadata.rows["path"].tolist() == ["scans/x/a.png", "c.png"]
    assert sorted(metadata.rejects["reason"]) == ["no-file", "no-row"]
    assert "1 rows may mean several files" in metadata.notes


def test_a_table_none_of_whose_rows_names_a_file_is_refused_by_example(tmp_path: Path) -> None:
    table = "file_name,label\n" + "".join(f"x{place}.png,normal\n" for place in range(160))
    with pytest.raises(DataError, match=r"160 of 160 rows names no file, such as x0\.png; there is scans/y\.png"):
        read_source(folder_of(tmp_path, table, ["scans/y.png"]))


def test_dataset_toml_names_columns_words_folder_and_patients(tmp_path: Path) -> None:
    toml = """
name = "north"
table = "list.csv"
scans = "images"
patient_pattern = '^images/([A-Z]+)-'
[columns]
file = "Bild"
label = "Befund"
[labels]
normal = ["ohne Befund"]
pneumonia = ["Pneumonie"]
leave_out = ["unklar"]
[exclude]
younger_than = 18
"""
    table = "Bild,Befund,Age\nAB-1,ohne Befund,40\nAB-2,Pneumonie,41\nCD-1,unklar,50\nCD-2,Pneumonie,17\n"
    files = [f"images/{name}.png" for name in ("AB-1", "AB-2", "CD-1", "CD-2")]
    metadata = read_source(folder_of(tmp_path, table, files, toml, "list.csv"))
    assert metadata.rows[["image_id", "label", "patient_id", "source"]].to_numpy().tolist() == [
        ["AB-1.png", "normal", "AB", "north"],
        ["AB-2.png", "pneumonia", "AB", "north"],
    ]
    assert reasons(metadata) == {"CD-1.png": "left-out-label", "CD-2.png": "left-out-age"}


def test_several_findings_in_a_cell(tmp_path: Path) -> None:
    toml = (
        'table = "t.csv"\nseparator = "|"\n'
        '[labels]\nnormal = ["No Finding"]\npneumonia = ["Pneumonia"]\nleave_out = ["*"]'
    )
    cells = ["No Finding", "Pneumonia|Effusion", "Effusion", "No Finding|Effusion", "No Finding|Pneumonia", ""]
    table = "file,label,patient\n" + "".join(f"{place}.png,{cell},{place}\n" for place, cell in enumerate(cells))
    metadata = read_source(folder_of(tmp_path, table, [f"{place}.png" for place in range(6)], toml, "t.csv"))
    assert metadata.rows["label"].tolist() == ["normal", "pneumonia"]
    assert list(reasons(metadata).values()) == ["left-out-label", "left-out-label", "conflicting-labels", "no-label"]


def test_a_column_a_finding_with_1_0_minus_1_and_empty(tmp_path: Path) -> None:
    toml = (
        'table = "t.csv"\n[columns]\nfile = "Path"\n[columns.findings]\nnormal = "No Finding"\npneumonia = "Pneumonia"'
    )
    cells = ["1.0,", "0,1.0", ",-1.0", ",", "1,1"]
    table = "Path,No Finding,Pneumonia,patient\n" + "".join(f"{place}.png,{c},1\n" for place, c in enumerate(cells))
    metadata = read_source(folder_of(tmp_path, table, [f"{place}.png" for place in range(5)], toml, "t.csv"))
    assert metadata.rows["label"].tolist() == ["normal", "pneumonia"]
    assert list(reasons(metadata).values()) == ["uncertain-label", "left-out-label", "conflicting-labels"]


def test_lateral_views_are_left_out_and_frontal_ones_stay(tmp_path: Path) -> None:
    views = ["PA", "LATERAL", "AP", "L", ""]
    table = "file_name,label,patient,view\n" + "".join(f"{n}.png,normal,{n},{view}\n" for n, view in enumerate(views))
    metadata = read_source(folder_of(tmp_path, table, [f"{place}.png" for place in range(5)]))
    assert metadata.rows["view"].tolist() == ["PA", "AP", ""]
    assert set(reasons(metadata).values()) == {"left-out-view"}


def test_rows_that_repeat_are_kept_once_and_rows_that_clash_are_rejected(tmp_path: Path) -> None:
    table = "file_name,label,patient\na.png,normal,1\na.png,normal,1\nb.png,normal,2\nb.png,pneumonia,2\n"
    metadata = read_source(folder_of(tmp_path, table, ["a.png", "b.png"]))
    assert metadata.rows["image_id"].tolist() == ["a.png"]
    assert reasons(metadata) == {"b.png": "conflicting-labels"}


def test_names_that_leave_the_folder_are_unsafe(tmp_path: Path) -> None:
    table = "file_name,label,patient\n../../etc/passwd,normal,1\nb.png,pneumonia,2\n"
    assert "unsafe-name" in reasons(read_source(folder_of(tmp_path, table, ["b.png"]))).values()


def test_a_rule_by_which_nearly_every_scan_is_its_own_patient_is_doubted(tmp_path: Path) -> None:
    table = "file_name,label,patient\n" + "".join(f"{place}.png,normal,p{place}\n" for place in range(40))
    notes = read_source(folder_of(tmp_path, table, [f"{place}.png" for place in range(40)])).notes
    assert "by the column patient 40 of 40 scans are a patient of their own: check that this is so" in notes


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("colums = 1", r"dataset.toml must have only known keys \(did you mean columns\?\). Received: colums"),
        ("[columns]\nfile = 3", "dataset.toml: columns.file must .* Received: 3"),
        ("patient_pattern = '('", "dataset.toml: patient_pattern must be a regular expression"),
        ("patient_pattern = 'x'", "dataset.toml: patient_pattern must have a group"),
        ("layout = 'nowhere'", "layout must be one of chexpert, .* Received: nowhere"),
        ("scans = '../x'", "scans must be a folder below the data folder"),
        ("= 1", "dataset.toml must be TOML"),
        ("[labels]\n'A b' = []", "labels must be lower-case letters and digits, .*, not A b"),
        ("table = 'metadata.csv'\n[columns]\nsex = 'Geschlecht'", "must have the column Geschlecht"),
        ("table = 'nowhere.csv'", "data folder must contain nowhere.csv"),
    ],
)
def test_a_dataset_toml_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, toml: str, message: str) -> None:
    folder = folder_of(tmp_path, "file_name,label\na.png,normal\n", ["a.png"], toml)
    with pytest.raises(DataError, match=message) as caught:
        read_source(folder)
    assert "\n" not in str(caught.value)


def test_more_than_5_percent_of_unknown_words_are_refused_with_the_first(tmp_path: Path) -> None:
    table = "file_name,label\na.png,normal\nb.png,Pleuritis\n"
    with pytest.raises(DataError, match="dataset.toml says what words mean. Received: 1 of 2, first Pleuritis"):
        read_source(folder_of(tmp_path, table, ["a.png", "b.png"]))


def test_without_a_dataset_toml_the_defaults_hold() -> None:
    assert Dataset().exclude.views == ("lateral",)


def test_a_row_whose_file_is_missing_takes_no_file_that_another_row_names(tmp_path: Path) -> None:
    table = "file_name,label,patient\nA/001.png,normal,a\nB/001.png,normal,b\n"
    metadata = read_source(folder_of(tmp_path, table, ["B/001.png"]))
    assert metadata.rows[["path", "patient_id"]].to_numpy().tolist() == [["B/001.png", "b"]]
    assert metadata.rejects["reason"].tolist() == ["no-file"]


def test_rows_of_one_file_that_differ_in_split_or_patient_are_rejected(tmp_path: Path) -> None:
    rows = ["a.png,normal,1,train", "a.png,normal,1,test", "b.png,normal,2,train", "b.png,normal,3,train"]
    table = "\n".join(["file_name,label,patient,split", *rows, "c.png,normal,4,train", ""])
    metadata = read_source(folder_of(tmp_path, table, ["a.png", "b.png", "c.png"]))
    assert metadata.rows["image_id"].tolist() == ["c.png"]
    assert set(metadata.rejects["reason"]) == {"conflicting-rows"}


def test_ten_thousand_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [f"train/patient{number:05d}/study1/view1_frontal.jpg" for number in range(10_000)]
    found = find([f"Set-v1/{path}" for path in paths], paths)
    assert found.paths == paths
    assert found.several == 0


def test_the_users_words_win_over_the_common_ones(tmp_path: Path) -> None:
    toml = "table = 't.csv'\n[labels]\nnormal = ['ok', 'covid', 'None']\n"
    table = "file,label,patient\na.png,covid,1\nb.png,None,2\nc.png,pneumonia,3\n"
    rows = read_source(folder_of(tmp_path, table, ["a.png", "b.png", "c.png"], toml, "t.csv")).rows
    assert rows["label"].tolist() == ["normal", "normal", "pneumonia"]


@pytest.mark.parametrize("values", [{"file_name": [b"\xff"]}, {"when": [datetime.timedelta(days=1)]}])
def test_a_parquet_of_odd_values_is_read_or_refused_in_one_line(
    tmp_path: Path, values: dict[str, list[object]]
) -> None:
    folder = folder_of(tmp_path, "", ["a.png"], name="unused.txt")
    pd.DataFrame({"file_name": ["a.png"], "label": ["normal"], **values}).to_parquet(folder / "metadata.parquet")
    try:
        read_source(folder)
    except DataError as error:
        assert "\n" not in str(error)


def test_a_view_to_leave_out_that_no_scan_has_is_told(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, ["a.png", "b.png"])
    (folder / "metadata.csv").write_text("file_name,label,view\na.png,normal,PA\nb.png,pneumonia,lateral\n")
    (folder / "dataset.toml").write_text('[exclude]\nviews = ["latral"]\n')
    metadata = read_source(folder)
    assert len(metadata.rows) == 2
    assert "exclude.views: no scan is latral; there are PA, lateral" in metadata.notes
