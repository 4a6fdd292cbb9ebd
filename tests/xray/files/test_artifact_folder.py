"""Folders that appear whole or not at all."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xray.errors import DamagedError, EvaluationError, StoreError
from xray.files import artifact_folder
from xray.files.artifact_folder import MANIFEST, digests_of, is_whole, kept_json, write_folder
from xray.files.digest import file_sha256


def fill(draft: Path) -> dict[str, Any]:
    (draft / "rows").write_text("1")
    return {"rows": 1}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "emptied": lambda path: path.write_bytes(b""),
    "removed": Path.unlink,
    "text": lambda path: path.write_text("something else"),
}


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forget what was compared, as a new process has compared nothing."""

    def begin() -> None:
        monkeypatch.setattr(artifact_folder, "_compared", {})
        monkeypatch.setattr(artifact_folder, "_proved", set())

    return begin


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


def test_whatever_ends_the_filling_leaves_nothing(tmp_path: Path) -> None:
    def fail(draft: Path) -> dict[str, Any]:
        fill(draft)
        raise EvaluationError("a split must have both labels")

    with pytest.raises(EvaluationError):
        write_folder(tmp_path / "name", fail)
    assert list(tmp_path.iterdir()) == []


class TestDamaged:
    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("name", ["rows", "figures/a.png"])
    def test_it_is_set_aside_and_written_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
    ) -> None:
        folder = tmp_path / "0123"

        def draw(draft: Path) -> dict[str, Any]:
            (draft / "figures").mkdir()
            (draft / "figures" / "a.png").write_text("picture")
            return fill(draft)

        assert write_folder(folder, draw)
        whole = (folder / name).read_bytes()
        DAMAGES[damage](folder / name)
        assert write_folder(folder, draw)
        assert (folder / name).read_bytes() == whole
        assert names(tmp_path) == ["0123", "0123.damaged"]
        (told,) = caplog.messages
        assert told.startswith(f"{folder} is damaged and was renamed to 0123.damaged; it is created again: {name}: ")
        assert not write_folder(folder, draw)

    @pytest.mark.parametrize("damage", ["flipped", "emptied", "text"])
    def test_a_manifest_that_is_damaged_counts_as_damage(self, tmp_path: Path, damage: str) -> None:
        write_folder(tmp_path / "0123", fill)
        DAMAGES[damage](tmp_path / "0123" / MANIFEST)
        assert write_folder(tmp_path / "0123", fill)
        assert not write_folder(tmp_path / "0123", fill)

    def test_what_is_read_was_compared_once_a_process_and_again_when_it_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "0123"
        digested: list[Path] = []

        def counted(path: Path) -> str:
            digested.append(path)
            return file_sha256(path)

        def write(draft: Path) -> dict[str, Any]:
            (draft / "a.json").write_text('{"b": 1}')
            return {}

        write_folder(folder, write)
        monkeypatch.setattr(artifact_folder, "file_sha256", counted)
        assert [kept_json(folder, "a.json") for _ in range(3)] == [{"b": 1}] * 3
        assert digested == [folder / "a.json"]
        (folder / "a.json").write_text('{"b": 2}')
        with pytest.raises(DamagedError, match="a.json must be unchanged since it was written. Received: SHA-256 "):
            kept_json(folder, "a.json")

    def test_a_file_that_the_manifest_does_not_know_is_not_read(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "0123", fill)
        (tmp_path / "0123" / "other.json").write_text("{}")
        with pytest.raises(DamagedError, match="no digest of other.json"):
            kept_json(tmp_path / "0123", "other.json")


class TestOfAnEarlierVersion:
    """Its manifest lists no digests."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        def write(draft: Path) -> dict[str, Any]:
            (draft / "a.json").write_text("{}")
            pd.DataFrame({"b": range(3)}).to_parquet(draft / "c.parquet")
            return {"digest": "0123"}

        write_folder(tmp_path / "0123", write)
        (tmp_path / "0123" / MANIFEST).write_text('{"digest": "0123"}')
        return tmp_path / "0123"

    def test_what_can_be_read_is_taken_for_whole_once_and_compared_from_then_on(
        self, folder: Path, another_process: Callable[[], None]
    ) -> None:
        another_process()
        assert is_whole(folder)
        assert set(digests_of(folder)) == {"a.json", "c.parquet"}
        assert json.loads((folder / MANIFEST).read_text())["digest"] == "0123"
        (folder / "a.json").write_text('{"still": "JSON"}')
        another_process()
        assert not is_whole(folder)

    @pytest.mark.parametrize("name", ["a.json", "c.parquet"])
    def test_what_cannot_is_set_aside(self, folder: Path, name: str) -> None:
        (folder / name).write_text("neither")
        assert not is_whole(folder)
        assert names(folder.parent) == ["0123.damaged"]

    def test_its_owner_may_prove_it_and_say_which_files_count(self, folder: Path) -> None:
        assert is_whole(folder, lambda: ["a.json"])
        assert set(digests_of(folder)) == {"a.json"}

    def test_where_it_cannot_be_written_it_is_proved_in_each_process(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, another_process: Callable[[], None]
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(30, "Read-only file system")

        def prove(process: int) -> None:
            proved.append(process)

        proved: list[int] = []
        monkeypatch.setattr(artifact_folder, "write_json", refuse)
        for process in range(2):
            another_process()
            for _ in range(3):
                assert is_whole(folder, partial(prove, process))
        assert proved == [0, 1]
