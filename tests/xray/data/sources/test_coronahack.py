"""CoronaHack's CSV and folders, read and cleaned."""

import os
from pathlib import Path

import pytest

from xray.data.sources.coronahack import METADATA_NAME, SUMMARY_NAME, read_coronahack
from xray.errors import DataError

HEADER = ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category"
SUMMARY_HEADER = ",Label,Label_1_Virus_category,Label_2_Virus_category,Image_Count"


def dataset(folder: Path, lines: list[str], files: list[str], images: str = "") -> Path:
    """Lay out a data folder: metadata of these lines, and files of no content."""
    for official in ("train", "test"):
        (folder / images / official).mkdir(parents=True)
    for file in files:
        path = folder / images / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / METADATA_NAME).write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return folder


def normal(name: str, official: str = "TRAIN") -> str:
    return f"7,{name},Normal,{official},,"


def good(count: int) -> tuple[list[str], list[str]]:
    """Rows and files of `count` normal scans, so that a few bad rows stay under the limit."""
    names = [f"IM-{number:04d}-0001.jpeg" for number in range(count)]
    return [normal(name) for name in names], [f"train/{name}" for name in names]


def reasons(folder: Path) -> dict[str, str]:
    rejects = read_coronahack(folder).rejects
    return dict(zip(rejects["image_id"], rejects["reason"], strict=True))


def test_a_row_becomes_a_scan(tmp_path: Path) -> None:
    lines = [
        "0,NORMAL2-IM-0421-0001.jpeg,Normal,TRAIN,,",
        "5,person12_virus_44.jpeg,Pnemonia,TEST,,Virus",
        "9,scan.png,Pnemonia,TRAIN,COVID-19,Virus",
        "10,person12_bacteria_45.jpeg,Pnemonia,TEST,,bacteria",
    ]
    files = ["train/NORMAL2-IM-0421-0001.jpeg", "test/person12_virus_44.jpeg", "train/scan.png"]
    files.append("test/person12_bacteria_45.jpeg")
    metadata = read_coronahack(dataset(tmp_path, lines, files))
    assert metadata.rows.to_dict("split")["data"] == [
        ["NORMAL2-IM-0421-0001.jpeg", files[0], "normal", "normal", "NORMAL2", "IM-0421", "train"],
        ["person12_virus_44.jpeg", files[1], "pneumonia", "viral", "person", "person12", "test"],
        ["scan.png", files[2], "pneumonia", "covid-19", "foreign", "scan", "train"],
        ["person12_bacteria_45.jpeg", files[3], "pneumonia", "bacterial", "person", "person12", "test"],
    ]
    assert metadata.rejects.empty
    assert metadata.notes == []


PLAIN_NAMES = [f"a{number}.jpeg" for number in range(4)]


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (["00000013_005.png", "00000013_026.png", "00000017_001.png"], ["00000013", "00000013", "00000017"]),
        (["BACTERIA-1000000-0001.jpeg", "VIRUS-1000000-0002.jpeg"], ["1000000", "1000000"]),
        (PLAIN_NAMES, ["", "", "", ""]),
    ],
)
def test_where_only_the_columns_are_coronahacks_no_name_is_a_patient_of_its_own(
    tmp_path: Path, names: list[str], patients: list[str]
) -> None:
    folder = dataset(tmp_path, [normal(name) for name in names], [f"train/{name}" for name in names])
    assert read_coronahack(folder).rows["patient_id"].tolist() == patients


def test_a_column_of_patients_wins_over_the_names(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [], [f"train/{name}" for name in PLAIN_NAMES])
    lines = [f"{normal(name)},p{place // 2}" for place, name in enumerate(PLAIN_NAMES)]
    (folder / METADATA_NAME).write_text("\n".join([f"{HEADER},Patient ID", *lines]))
    metadata = read_coronahack(folder)
    assert metadata.rows["patient_id"].tolist() == ["p0", "p0", "p1", "p1"]
    assert metadata.notes == ["patients by the column Patient ID: 2 of 4 scans"]


@pytest.mark.parametrize(
    ("first", "second", "subtype"),
    [
        ("bacteria", "", "bacterial"),
        ("bacteria", "Streptococcus", "streptococcus"),
        ("Virus", "", "viral"),
        ("Virus", "COVID-19", "covid-19"),
        ("Virus", "SARS", "sars"),
        ("Stress-Smoking", "ARDS", "ards"),
    ],
)
def test_the_two_categories_give_the_subtype(tmp_path: Path, first: str, second: str, subtype: str) -> None:
    folder = dataset(tmp_path, [f"0,a.jpeg,Pnemonia,TRAIN,{second},{first}"], ["train/a.jpeg"])
    assert read_coronahack(folder).rows["subtype"].tolist() == [subtype]


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_images_nested_as_in_the_public_archive_are_found(tmp_path: Path, depth: int) -> None:
    images = "/".join(["Coronahack-Chest-XRay-Dataset"] * depth)
    folder = dataset(tmp_path, [normal("a.jpeg")], ["train/a.jpeg"], images)
    assert read_coronahack(folder).rows["path"].tolist() == [f"{images}/train/a.jpeg".lstrip("/")]


def test_files_without_a_row_and_rows_without_a_file_are_listed(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [normal("a.jpeg"), normal("b.jpeg")], ["train/a.jpeg", "train/c.jpeg", "test/b.jpeg"])
    rejects = read_coronahack(folder).rejects[["path", "reason"]].to_dict("split")["data"]
    assert rejects == [["train/b.jpeg", "no-file"], ["test/b.jpeg", "no-row"], ["train/c.jpeg", "no-row"]]


def test_a_file_that_two_rows_label_differently_is_rejected(tmp_path: Path) -> None:
    lines = [normal("a.jpeg"), normal("b.jpeg"), "3,a.jpeg,Pnemonia,TRAIN,,Virus"]
    metadata = read_coronahack(dataset(tmp_path, lines, ["train/a.jpeg", "train/b.jpeg"]))
    assert metadata.rows["image_id"].tolist() == ["b.jpeg"]
    assert metadata.rejects.to_dict("split")["data"] == [
        ["a.jpeg", "train/a.jpeg", "conflicting-labels", "line 2: normal and line 4: viral"]
    ]


def test_rows_that_agree_are_kept_once_and_noted(tmp_path: Path) -> None:
    metadata = read_coronahack(dataset(tmp_path, [normal("a.jpeg")] * 3, ["train/a.jpeg"]))
    assert len(metadata.rows) == 1
    assert metadata.notes == ["2 rows repeat another row and are kept once"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,x.jpeg,Pnemona,TRAIN,,Virus", "unknown-label"),
        ("1,x.jpeg,,TRAIN,,", "unknown-label"),
        ("1,x.jpeg,Normal,VALIDATION,,", "unknown-type"),
        ("1,x.jpeg,Pnemonia,TRAIN,,Fungus", "unknown-subtype"),
        ("1,x.jpeg,Normal,TRAIN,,Virus", "unknown-subtype"),
        ("1,,Normal,TRAIN,,", "no-name"),
    ],
)
def test_rows_with_unknown_words_are_rejected_one_by_one(tmp_path: Path, row: str, reason: str) -> None:
    lines, files = good(19)
    metadata = read_coronahack(dataset(tmp_path, [*lines, row], files))
    assert len(metadata.rows) == 19
    assert metadata.rejects["reason"].tolist() == [reason]
    assert metadata.rejects["detail"].str.startswith("line 21: ").all()


def test_over_5_percent_of_unknown_rows_are_refused(tmp_path: Path) -> None:
    lines, files = good(18)
    with pytest.raises(
        DataError, match="at most 5% of the rows .* Received: 1 of 19, first unknown-label, line 20: sick"
    ):
        read_coronahack(dataset(tmp_path, [*lines, "1,x.jpeg,Sick,TRAIN,,"], files))


@pytest.mark.parametrize("name", ["../a.jpeg", "/etc/passwd", "sub/../../a.jpeg", "..\\a.jpeg"])
def test_names_that_leave_the_folder_are_unsafe(tmp_path: Path, name: str) -> None:
    folder = dataset(tmp_path / "data", [normal(name), normal("ok.jpeg")], ["train/ok.jpeg"])
    (tmp_path / "a.jpeg").touch()
    assert reasons(folder) == {name: "unsafe-name"}


def test_a_link_that_leaves_the_folder_is_unsafe(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", [normal("a.jpeg"), normal("b.jpeg")], ["train/b.jpeg"])
    (tmp_path / "secret").touch()
    (folder / "train" / "a.jpeg").symlink_to(tmp_path / "secret")
    assert reasons(folder) == {"a.jpeg": "unsafe-name"}


@pytest.mark.parametrize("name", ["with space.jpeg", "röntgen-胸.jpeg", "sub/a.jpeg", "'; drop.jpeg", "n" * 250])
def test_odd_names_are_read_if_the_file_exists(tmp_path: Path, name: str) -> None:
    assert read_coronahack(dataset(tmp_path, [normal(name)], [f"train/{name}"])).rows["image_id"].tolist() == [name]


@pytest.mark.parametrize("name", ["nul\0.jpeg", "n" * 300, "胸.jpeg", ".", "sub"])
def test_odd_names_without_a_file_are_rejected(tmp_path: Path, name: str) -> None:
    folder = dataset(tmp_path, [normal(name), normal("ok.jpeg")], ["train/ok.jpeg"])
    (folder / "train" / "sub").mkdir()
    assert reasons(folder) == {name: "no-file"}


def test_a_file_name_that_is_no_utf8_is_listed(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [normal("ok.jpeg")], ["train/ok.jpeg"])
    (folder / "train" / os.fsdecode(b"r\xf6ntgen.jpeg")).touch()
    assert reasons(folder) == {r"r\xf6ntgen.jpeg": "no-row"}


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be an existing folder. Received: .*nowhere"):
        read_coronahack(tmp_path / "nowhere")


def test_no_metadata(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"must contain {METADATA_NAME}. Received: "):
        read_coronahack(tmp_path)


def test_no_image_folders(tmp_path: Path) -> None:
    (tmp_path / METADATA_NAME).write_text(f"{HEADER}\n{normal('a.jpeg')}\n")
    with pytest.raises(DataError, match="must contain train/ and test/"):
        read_coronahack(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a CSV with a header. Received: an empty file"),
        (b" \n\n", "must be a CSV with a header. Received: an empty file"),
        (f"{HEADER}\n".encode(), "must contain at least one row. Received: only a header"),
        (f"{HEADER}\n0,r\u00f6ntgen.jpeg,Normal,TRAIN,,\n".encode("latin-1"), "must be UTF-8.*Received: .* in line 2"),
        (f"{HEADER}\n".encode("utf-16"), "must be UTF-8.*Received: .* in line 1"),
        (b"\x89PNG\r\n\x1a\n\0\0", "must be UTF-8.*Received: .* in line 1"),
        (b"<html><body>Not found</body></html>", "must have the column X_ray_image_name. Received: <html>"),
        (HEADER.replace("Label,", "Lable,").encode(), r"must have the column Label. Received: Lable \(misspelled\?\)"),
        (b"X_ray_image_name,Label\n", "must have the column Dataset_type. Received: X_ray_image_name, Label"),
        (f"{HEADER},Label\n".encode(), "must have one column Label. Received: 2"),
        (f"{HEADER}\n0,a.jpeg,Normal\n".encode(), "line 2 must have 6 fields. Received: 3"),
        (f'{HEADER}\n0,"a.jpeg,Normal,TRAIN,,\n'.encode(), "must be CSV. Received: unexpected end of data in line 2"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / METADATA_NAME).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_coronahack(tmp_path)
    assert "\n" not in str(caught.value)
    assert METADATA_NAME in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [normal("a.jpeg")], ["train/a.jpeg"])
    text = (folder / METADATA_NAME).read_text().replace("\n", "\r\n")
    (folder / METADATA_NAME).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(read_coronahack(folder).rows) == 1


def test_differences_from_the_summary_are_said(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [normal("a.jpeg"), "1,b.jpeg,Pnemonia,TRAIN,SARS,Virus"], ["train/a.jpeg"])
    (folder / SUMMARY_NAME).write_text(
        f"{SUMMARY_HEADER}\n0,Normal,,,1\n1,Pnemonia,bacteria,,4\n2,Pnemonia,Virus,SARS,2\n"
    )
    assert read_coronahack(folder).notes == [
        "Pnemonia / Virus / SARS: Summary says 2, metadata has 1",
        "Pnemonia / bacteria: Summary says 4, metadata has 0",
    ]


def test_a_summary_that_cannot_be_read_is_noted(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [normal("a.jpeg")], ["train/a.jpeg"])
    (folder / SUMMARY_NAME).write_text(f"{SUMMARY_HEADER}\n0,Normal,,,many\n")
    (note,) = read_coronahack(folder).notes
    assert note.startswith(f"{SUMMARY_NAME} could not be compared")


@pytest.mark.real_data
def test_the_real_scans(real_scans: Path) -> None:
    metadata = read_coronahack(real_scans)
    assert metadata.rows["official"].value_counts().to_dict() == {"train": 5282, "test": 308}
    assert metadata.rejects["reason"].value_counts().to_dict() == {"no-file": 320, "no-row": 23}
    assert metadata.notes == []
