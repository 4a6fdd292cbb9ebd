"""Scans found again, byte for byte."""

import hashlib
from pathlib import Path

import pytest

from xray.data.verify import verified_files
from xray.errors import DataError


@pytest.fixture
def scans(tmp_path: Path) -> list[tuple[str, str]]:
    (tmp_path / "test").mkdir()
    named = []
    for number in range(3):
        path = tmp_path / "test" / f"{number}.png"
        path.write_bytes(bytes([number]))
        named.append((f"test/{number}.png", hashlib.sha256(bytes([number])).hexdigest()))
    return named


def test_files_come_in_the_order_asked(tmp_path: Path, scans: list[tuple[str, str]]) -> None:
    assert verified_files(tmp_path, reversed(scans)) == [tmp_path / path for path, _ in reversed(scans)]


def test_one_fault_is_named_and_the_others_are_counted(tmp_path: Path, scans: list[tuple[str, str]]) -> None:
    (tmp_path / "test" / "1.png").write_bytes(b"another")
    with pytest.raises(DataError, match=r"--data FOLDER .*Received: \S+1\.png \(changed\)$"):
        verified_files(tmp_path, scans)
    (tmp_path / "test" / "0.png").unlink()
    with pytest.raises(DataError, match=r"Received: \S+0\.png \(No such file or directory\), and 1 others of 3$"):
        verified_files(tmp_path, scans)
