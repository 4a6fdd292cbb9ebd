"""What counts as delivered, and what is left for later or refused."""

import hashlib
import os
from pathlib import Path

import pytest

from xray.config import Places
from xray.data.inbox import list_inbox, require_outside
from xray.errors import DataError


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "monday" / "ward 3").mkdir(parents=True)
    return folder


def test_files_of_all_folders_in_order_with_their_digests(folder: Path, places: Places) -> None:
    for name in ("z.png", "a.jpeg", "monday/b.png", "monday/ward 3/röntgen.tif"):
        (folder / name).write_bytes(name.encode())
    found = list_inbox(folder, places)
    assert list(found.digests) == ["a.jpeg", "monday/b.png", "monday/ward 3/röntgen.tif", "z.png"]
    assert found.digests["z.png"] == hashlib.sha256(b"z.png").hexdigest()
    assert found.refused == {}


def test_hidden_and_unfinished_files_are_left_for_later(folder: Path, places: Places) -> None:
    (folder / ".thumbnails").mkdir()
    for name in (".hidden.png", ".thumbnails/a.png", "b.png.part", "c.PARTIAL", "d.png~", "e.tmp"):
        (folder / name).write_bytes(b"x")
    assert list_inbox(folder, places).digests == {}


def test_a_link_out_of_the_inbox_is_refused_and_one_inside_is_a_file(
    folder: Path, places: Places, tmp_path: Path
) -> None:
    (tmp_path / "outside.png").write_bytes(b"outside")
    (folder / "scan.png").write_bytes(b"scan")
    (folder / "out.png").symlink_to(tmp_path / "outside.png")
    (folder / "again.png").symlink_to(folder / "scan.png")
    found = list_inbox(folder, places)
    assert list(found.digests) == ["again.png", "scan.png"]
    assert list(found.refused) == ["out.png"]
    assert found.refused["out.png"].startswith("unsafe-name: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_refused(folder: Path, places: Places) -> None:
    (folder / "locked.png").write_bytes(b"scan")
    (folder / "locked.png").chmod(0)
    found = list_inbox(folder, places)
    assert found.digests == {}
    assert found.refused["locked.png"].startswith("unreadable: ")


def test_no_folder_is_one_line(tmp_path: Path, places: Places) -> None:
    with pytest.raises(DataError, match=r"^the inbox must be an existing folder. Received: .*nowhere$"):
        list_inbox(tmp_path / "nowhere", places)


def test_the_output_must_lie_outside_the_inbox(folder: Path, tmp_path: Path) -> None:
    require_outside(tmp_path / "scores", folder)
    with pytest.raises(DataError, match=r"^the output folder must lie outside the inbox"):
        require_outside(folder / "scores", folder)
