"""Scans found again, byte for byte."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.conftest import send
from xray.data.verify_scans import verified_files
from xray.errors import DataError
from xray.files.s3 import S3Path


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
    with verified_files(tmp_path, reversed(scans)) as files:
        assert files == [tmp_path / path for path, _ in reversed(scans)]


def test_one_fault_is_named_and_the_others_are_counted(tmp_path: Path, scans: list[tuple[str, str]]) -> None:
    (tmp_path / "test" / "1.png").write_bytes(b"another")
    with (
        pytest.raises(DataError, match=r"--data FOLDER .*Received: \S+1\.png \(changed\)$"),
        verified_files(tmp_path, scans),
    ):
        pass
    (tmp_path / "test" / "0.png").unlink()
    missing = r"Received: \S+0\.png \(No such file or directory\), and 1 others of 3$"
    with pytest.raises(DataError, match=missing), verified_files(tmp_path, scans):
        pass


def test_a_pipe_in_a_scan_s_place_is_not_waited_for(tmp_path: Path, scans: list[tuple[str, str]]) -> None:
    (tmp_path / "test" / "0.png").unlink()
    os.mkfifo(tmp_path / "test" / "0.png")
    with pytest.raises(DataError, match=r"0\.png \(unreadable: .* a pipe\)$"), verified_files(tmp_path, scans):
        pass


def test_scans_at_a_server_are_copied_for_a_while(tmp_path: Path, bucket: S3Path, scans: list[tuple[str, str]]) -> None:
    address = send(tmp_path, bucket / "moved")
    with verified_files(address, scans) as files:
        assert [path.read_bytes() for path in files] == [(tmp_path / path).read_bytes() for path, _ in scans]
    assert [path for path in files if path.exists()] == []
    (address / "test" / "1.png").write_bytes(b"another")
    with pytest.raises(DataError, match=r"Received: s3://\S+1\.png \(changed\)$"), verified_files(address, scans):
        pass
