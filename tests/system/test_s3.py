"""`xray prepare` on scans at a server, shared at a server, through the real command."""

from pathlib import Path

import pytest

from tests.conftest import send
from tests.system.conftest import Command, Ended
from xray.data.phantom import write_phantoms
from xray.s3 import S3Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SMALL = ["--recipe", "quick", "--set", "images.height=32", "--set", "images.width=32"]


def catalog_of(ended: Ended) -> str:
    """Name the catalog that a command ended with."""
    return Path(ended.out.strip().splitlines()[-1].removesuffix(" (reused)").split()[-1]).name


def test_two_machines_and_a_disk_prepare_the_same(xray: Command, bucket: S3Path) -> None:
    write_phantoms(xray.folder / "scans", scans=80, seed=0, size=(64, 64))
    address = send(xray.folder / "scans", bucket / "scans")
    shared = ["--prepared", f"{bucket}/shared"]
    on_disk = xray("prepare", "scans", *SMALL, "--home", "disk")
    first = xray("prepare", str(address), *SMALL, "--home", "first", *shared)
    second = xray("prepare", str(address), *SMALL, "--home", "second", *shared)
    for ended in (on_disk, first, second):
        assert (ended.code, ended.err) == (0, ""), ended.out + ended.err
        assert catalog_of(ended) == catalog_of(on_disk)
    assert "80 decoded, 0 reused" in first.out
    assert "0 decoded, 80 reused" in second.out
    pixels = [sorted((xray.folder / home / "data" / "pixels").rglob("*.parquet")) for home in ("disk", "second")]
    assert [path.read_bytes() for path in pixels[0]] == [path.read_bytes() for path in pixels[1]]
    for home in ("disk", "first", "second"):
        for path in (xray.folder / home).rglob("*"):
            assert not path.is_file() or b"test-secret" not in path.read_bytes()


def test_mistakes_end_in_one_line(xray: Command, bucket: S3Path) -> None:
    write_phantoms(xray.folder / "few", scans=80, seed=0, size=(64, 64))
    said = {
        "must bear no credentials": ["s3://key:wJalr@scans/data"],
        "--prepared must be s3://BUCKET/FOLDER": ["few", "--prepared", "elsewhere"],
        "--prepared must lie in a bucket that is there": ["few", "--prepared", "s3://no-such-bucket/shared"],
        "data folder must be an existing folder. Received: s3://no-such-bucket/scans": ["s3://no-such-bucket/scans"],
        f"data folder must be an existing folder. Received: {bucket}/none": [f"{bucket}/none"],
    }
    for words, arguments in said.items():
        ended = xray("prepare", *arguments, *SMALL)
        assert (ended.code, ended.out) == (2, ""), ended.out + ended.err
        assert words in ended.err
        assert ended.err.count("\n") == 1
        assert "wJalr" not in ended.err
