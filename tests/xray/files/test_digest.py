"""Bytes, files and open files of the same content have the same digest, which is the published one."""

from pathlib import Path

from xray.files.digest import bytes_sha256, file_sha256, stream_sha256

OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""FIPS 180-4's own example."""


def test_the_three_ways_agree(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert bytes_sha256(b"abc") == file_sha256(path) == OF_ABC
    with path.open("rb") as file:
        assert stream_sha256(file) == OF_ABC


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"--abc")
    with path.open("rb") as file:
        file.seek(2)
        assert stream_sha256(file) == OF_ABC
