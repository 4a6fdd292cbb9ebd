"""Our own files read: what is damaged is one error that names the file."""

import errno
from pathlib import Path

import pandas as pd
import pytest

from xray.errors import DamagedError, StoreError
from xray.files.checked_io import read_json, read_parquet, reading, set_aside, write_json


class TestRead:
    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"a": 1'])
    def test_what_is_no_json_object_is_damaged(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.json"
        path.write_bytes(content)
        with pytest.raises(
            DamagedError, match=f"^{path} must be unchanged since it was written. Received: .+"
        ) as raised:
            read_json(path)
        assert raised.value.path == path
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"text" * 99])
    def test_what_is_no_parquet_is_damaged(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.parquet"
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=f"^{path} must be unchanged since it was written"):
            read_parquet(path)

    def test_a_table_that_is_cut_or_flipped_is_damaged_or_read(self, tmp_path: Path) -> None:
        whole = tmp_path / "whole.parquet"
        pd.DataFrame({"a": [f"value {number}" for number in range(300)]}).to_parquet(whole)
        content, path = whole.read_bytes(), tmp_path / "a.parquet"
        for at in range(0, len(content), 7):
            for changed in (content[:at], content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]):
                path.write_bytes(changed)
                try:
                    read_parquet(path)
                except DamagedError:
                    continue

    def test_what_is_missing_or_a_folder_is_damaged(self, tmp_path: Path) -> None:
        with pytest.raises(DamagedError, match="Received: it is missing"):
            read_json(tmp_path / "none.json")
        with pytest.raises(DamagedError, match="directory"):
            read_json(tmp_path)

    @pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
    def test_a_disk_that_is_away_is_no_damage(self, tmp_path: Path, number: int) -> None:
        with pytest.raises(StoreError, match="must be readable") as raised, reading(tmp_path / "a"):
            raise OSError(number, "away")
        assert not isinstance(raised.value, DamagedError)

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", {"b": ["é", 1.5]})
        assert read_json(tmp_path / "a.json") == {"b": ["é", 1.5]}


class TestSetAside:
    def test_it_is_renamed_and_said_in_one_line(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for content in ("first", "second"):
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / content).touch()
            set_aside(tmp_path / "a", "cut short", "it is created again")
        assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
            "a.damaged",
            "a.damaged/second",
        ]
        told = f"{tmp_path / 'a'} is damaged and was renamed to a.damaged; it is created again: cut short"
        assert caplog.messages == [told, told]

    def test_a_file_replaces_what_was_set_aside_before(self, tmp_path: Path) -> None:
        for content in ("first", "second"):
            (tmp_path / "a.json").write_text(content)
            set_aside(tmp_path / "a.json", "no JSON", "it is created again")
        assert (tmp_path / "a.json.damaged").read_text() == "second"

    def test_what_is_gone_already_is_none_of_its_business(self, tmp_path: Path) -> None:
        set_aside(tmp_path / "a", "missing", "it is created again")
        assert list(tmp_path.iterdir()) == []
