"""Which files lie in a folder, and which names lead out."""

import os
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray.data.sources.file_listing import list_files, named, printable, stays_inside, visible


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
    assert listing.unreadable == {
        "train/broken.jpeg": "a scan must be a file. Received: a link to nothing",
        "train/pipe.jpeg": "a scan must be a file. Received: a pipe, a socket or a device",
    }


def test_a_folder_that_is_itself_a_link_counts_as_inside(tmp_path: Path) -> None:
    (tmp_path / "big disk").mkdir()
    (tmp_path / "big disk" / "a.jpeg").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(tmp_path / "big disk")
    assert list_files(tmp_path / "data", ["train"]).paths == {"train/a.jpeg"}


def test_links_to_themselves_and_folders_that_cannot_be_listed_stop_nothing(tmp_path: Path) -> None:
    train = tmp_path / "train"
    (train / "more").mkdir(parents=True)
    (train / "more" / "a.jpeg").touch()
    (train / "self.jpeg").symlink_to("self.jpeg")
    (train / "one").symlink_to("two")
    (train / "two").symlink_to("one")
    (train / "again").symlink_to("more")
    listing = list_files(tmp_path, ["train"])
    assert listing.paths == {"train/more/a.jpeg"}
    assert set(listing.unreadable) == {"train/self.jpeg", "train/one", "train/two"}
    assert "Too many levels of symbolic links" in listing.unreadable["train/self.jpeg"]


def test_folders_deeper_than_a_path_may_be_are_set_apart(tmp_path: Path) -> None:
    """Not even root lists these: a path has 4,096 bytes at most."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.jpeg").touch()
    here = os.open(tmp_path / "train", os.O_RDONLY)
    for _ in range(2100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    listing = list_files(tmp_path, ["train"])
    subprocess.run(["rm", "-rf", tmp_path / "train"], check=True)  # deeper than pytest removes
    assert listing.paths == {"train/a.jpeg"}
    (why,) = listing.unreadable.values()
    assert why == "the folder cannot be listed: File name too long"


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is played by root")
def test_a_folder_of_another_user_s_is_set_apart() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ends:
        root = Path(folder)
        root.chmod(0o755)
        for name in ("train/lost+found", "train/open"):
            (root / name).mkdir(parents=True)
            (root / name / "a.jpeg").touch()
        (root / "train" / "lost+found").chmod(0)
        os.seteuid(65534)
        ends.callback(os.seteuid, 0)
        listing = list_files(root, ["train"])
        assert listing.paths == {"train/open/a.jpeg"}
        assert listing.unreadable == {"train/lost+found": "the folder cannot be listed: Permission denied"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"r\xf6ntgen.jpeg", r"r\xf6ntgen.jpeg"),
        ("röntgen 胸部.jpeg".encode(), "röntgen 胸部.jpeg"),
        (b"two\nlines\t.png", r"two\x0alines\x09.png"),
        (b"\x1b[31mred.png", r"\x1b[31mred.png"),
        ("\x9b31m\u202egnp.exe".encode(), r"\xc2\x9b31m\xe2\x80\xaegnp.exe"),
        (rb"back\slash.png", r"back\slash.png"),
        (rb"\xf6.png", r"\x5cxf6.png"),
        (b"\\\xf6.png", r"\\xf6.png"),
        (b"\xff\xfe\\x5c", r"\xff\xfe\x5cx5c"),
    ],
)
def test_a_name_is_shown_on_one_line_and_found_again(name: bytes, shown: str) -> None:
    assert printable(os.fsdecode(name)) == shown
    assert os.fsencode(named(shown)) == name


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_any_name_is_text_that_leads_back_to_it(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert named(shown) == os.fsdecode(name)
    assert shown.encode("utf-8").decode("utf-8").splitlines() in ([shown], [])
    assert visible(shown) == shown, "what is escaped is not escaped again"
