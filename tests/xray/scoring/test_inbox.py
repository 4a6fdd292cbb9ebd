"""What counts as delivered, and what is left for later or refused."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.rights import leave_rights
from xray.config import Workspace
from xray.errors import DataError
from xray.scoring.inbox import list_inbox, require_outside


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "monday" / "ward 3").mkdir(parents=True)
    return folder


def test_files_of_all_folders_in_order_with_their_digests(folder: Path, workspace: Workspace) -> None:
    for name in ("z.png", "a.jpeg", "monday/b.png", "monday/ward 3/röntgen.tif"):
        (folder / name).write_bytes(name.encode())
    found = list_inbox(folder, workspace)
    assert list(found.digests) == ["a.jpeg", "monday/b.png", "monday/ward 3/röntgen.tif", "z.png"]
    assert found.digests["z.png"] == hashlib.sha256(b"z.png").hexdigest()
    assert found.refused == {}


def test_hidden_and_unfinished_files_are_left_for_later(folder: Path, workspace: Workspace) -> None:
    (folder / ".thumbnails").mkdir()
    for name in (".hidden.png", ".thumbnails/a.png", "b.png.part", "c.PARTIAL", "d.png~", "e.tmp"):
        (folder / name).write_bytes(b"x")
    assert list_inbox(folder, workspace).digests == {}


def test_a_link_out_of_the_inbox_is_refused_and_one_inside_is_a_file(
    folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "outside.png").write_bytes(b"outside")
    (folder / "scan.png").write_bytes(b"scan")
    (folder / "out.png").symlink_to(tmp_path / "outside.png")
    (folder / "again.png").symlink_to(folder / "scan.png")
    found = list_inbox(folder, workspace)
    assert list(found.digests) == ["again.png", "scan.png"]
    assert list(found.refused) == ["out.png"]
    assert found.refused["out.png"].startswith("unsafe-name: ")


LISTS = """
import sys
from pathlib import Path
from xray.config import Workspace
from xray.scoring.inbox import list_inbox
found = list_inbox(Path(sys.argv[1]), Workspace(home=Path(sys.argv[2])))
assert found.digests == {}
print(found.refused["locked.png"])
"""


def test_a_file_that_cannot_be_read_is_refused(folder: Path, workspace: Workspace) -> None:
    (folder / "locked.png").write_bytes(b"scan")
    (folder / "locked.png").chmod(0)
    command = [sys.executable, "-c", LISTS, str(folder), str(workspace.home)]
    child = subprocess.run(
        command, capture_output=True, text=True, check=True,
        preexec_fn=leave_rights,
    )  # fmt: skip
    assert child.stdout.startswith("unreadable: ")


def test_one_odd_item_is_refused_and_the_others_are_listed(folder: Path, workspace: Workspace) -> None:
    (folder / "scan.png").write_bytes(b"scan")
    (folder / "self.png").symlink_to("self.png")
    (folder / "sparse.tif").touch()
    os.truncate(folder / "sparse.tif", 3_000_000_000)
    os.mkfifo(folder / "pipe.png")
    (folder / "nothing.png").symlink_to("nothing at all")
    found = list_inbox(folder, workspace)
    assert list(found.digests) == ["scan.png"]
    assert {path: why.partition(":")[0] for path, why in found.refused.items()} == {
        "self.png": "unreadable",
        "sparse.tif": "too-large",
        "pipe.png": "unreadable",
        "nothing.png": "unreadable",
    }
    assert found.refused["sparse.tif"].endswith("at most 134,217,728 bytes. Received: 3,000,000,000")


def test_a_name_that_is_no_utf8_is_digested_and_known_the_next_time(folder: Path, workspace: Workspace) -> None:
    names = [b"r\xf6ntgen.png", b"two\nlines.png", rb"r\xf6ntgen.png"]
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
        os.utime(folder / os.fsdecode(name), (1e9, 1e9))
    found = list_inbox(folder, workspace)
    assert found.digests == {os.fsdecode(name): hashlib.sha256(name).hexdigest() for name in sorted(names)}
    index = pd.read_parquet(workspace.digest_index)
    assert len(index) == len(names), "a file left alone for years is remembered"
    assert list_inbox(folder, workspace).digests == found.digests
    pd.testing.assert_frame_equal(pd.read_parquet(workspace.digest_index), index)


def test_no_folder_is_one_line(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(DataError, match=r"^the inbox must be an existing folder. Received: .*nowhere$"):
        list_inbox(tmp_path / "nowhere", workspace)


def test_the_output_must_lie_outside_the_inbox(folder: Path, tmp_path: Path) -> None:
    require_outside(tmp_path / "scores", folder)
    with pytest.raises(DataError, match=r"^the output folder must be outside the inbox"):
        require_outside(folder / "scores", folder)
