"""Scans named one by one: `-` is standard input, and an odd one is answered on beside the others."""

import io
import os
import pty
from pathlib import Path

import pytest

from flows.input_files import STANDARD_INPUT, contents, input_files
from xray.data.decoding.decode_limits import MOST_BYTES
from xray.errors import XrayError


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    (tmp_path / "scan.png").write_bytes(b"a scan")
    return tmp_path / "scan.png"


def bring(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_standard_input_is_a_file_for_a_while(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, b"brought")
    with input_files([scan, STANDARD_INPUT]) as (first, second):
        assert first == scan
        assert second.read_bytes() == b"brought"
    assert not second.exists()
    bring(monkeypatch, b"brought")
    assert contents([STANDARD_INPUT, scan]) == [b"brought", b"a scan"]


def test_one_that_is_no_file_is_answered_on_beside_the_others(scan: Path) -> None:
    os.mkfifo(scan.parent / "pipe")
    with input_files([scan.parent / "pipe", scan]) as paths:
        assert paths == [scan.parent / "pipe", scan]
    with (
        pytest.raises(XrayError, match=r"^each file must be a scan. Received: \S+pipe \(unreadable: .* a pipe\)$"),
        input_files([scan.parent / "pipe"]),
    ):
        pass


def test_what_is_not_there_is_told_at_once(scan: Path) -> None:
    wanted = r"^each file must be readable. Received: nowhere.png \(No such file or directory\)$"
    for files in ([scan, Path("nowhere.png")], [Path("nowhere.png")]):
        with pytest.raises(XrayError, match=wanted), input_files(files):
            pass
        with pytest.raises(XrayError, match=wanted):
            contents(files)


def test_a_terminal_brings_no_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    above, below = pty.openpty()
    with os.fdopen(below) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with pytest.raises(XrayError, match=r"^standard input must contain a scan, as in .* Received: a terminal$"):
            contents([STANDARD_INPUT])
    os.close(above)


def test_an_endless_standard_input_is_read_as_far_as_a_scan_may_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/zero", encoding="utf-8") as endless:
        monkeypatch.setattr("sys.stdin", endless)
        with pytest.raises(XrayError, match=rf"standard input \(too-large: .* {MOST_BYTES:,} bytes. Received: "):
            contents([STANDARD_INPUT])
