"""Which files lie in a folder, and which names lead out."""

import os
from pathlib import Path

import pytest

from xray.data.listing import list_files, printable, stays_inside


@pytest.mark.parametrize(
    "name", ["../x.jpeg", "a/../../x", "/etc/passwd", "\\\\server\\x", "..\\x", "C:\\x.jpeg", ".."]
)
def test_names_that_lead_out(name: str) -> None:
    assert not stays_inside(name)


@pytest.mark.parametrize(
    "name", ["x.jpeg", "a/x.jpeg", "..x.jpeg", "x..jpeg", "a b.jpeg", "röntgen.jpeg", "\0", "x" * 300]
)
def test_names_that_stay(name: str) -> None:
    assert stays_inside(name)


def test_files_below_are_listed_and_links_out_are_set_apart(tmp_path: Path) -> None:
    outside = tmp_path / "secret.jpeg"
    outside.touch()
    train = tmp_path / "data" / "train"
    (train / "more").mkdir(parents=True)
    (train / "a.jpeg").touch()
    (train / "more" / "b.jpeg").touch()
    (train / "same.jpeg").symlink_to("a.jpeg")
    (train / "out.jpeg").symlink_to(outside)
    (train / "broken.jpeg").symlink_to("nothing")
    os.mkfifo(train / "pipe.jpeg")
    listing = list_files(tmp_path / "data", ["train", "test"])
    assert listing.paths == {"train/a.jpeg", "train/more/b.jpeg", "train/same.jpeg"}
    assert listing.leaving == {"train/out.jpeg"}


def test_a_folder_that_is_itself_a_link_counts_as_inside(tmp_path: Path) -> None:
    (tmp_path / "big disk").mkdir()
    (tmp_path / "big disk" / "a.jpeg").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(tmp_path / "big disk")
    assert list_files(tmp_path / "data", ["train"]).paths == {"train/a.jpeg"}


def test_a_name_that_is_no_utf8_can_be_shown() -> None:
    assert printable(os.fsdecode(b"r\xf6ntgen.jpeg")) == r"r\xf6ntgen.jpeg"
