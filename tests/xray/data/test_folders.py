"""Folders that appear whole or not at all."""

from pathlib import Path
from typing import Any

import pytest

from xray.data.folders import write_folder
from xray.errors import StoreError


def fill(draft: Path) -> dict[str, Any]:
    (draft / "rows").write_text("1")
    return {"rows": 1}


def test_it_is_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "name"
    assert write_folder(folder, fill)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "rows"]
    before = (folder / "rows").stat().st_mtime_ns
    assert not write_folder(folder, fill)
    assert (folder / "rows").stat().st_mtime_ns == before


def test_a_folder_without_a_manifest_was_never_finished_and_is_written_anew(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    folder.mkdir()
    (folder / "half").write_text("")
    assert write_folder(folder, fill)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "rows"]


def test_a_full_disk_leaves_nothing_and_is_said_in_one_line(tmp_path: Path) -> None:
    def fail(draft: Path) -> dict[str, Any]:
        fill(draft)
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left on device"):
        write_folder(tmp_path / "name", fail)
    assert list(tmp_path.iterdir()) == []
