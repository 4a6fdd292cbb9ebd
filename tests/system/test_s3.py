"""`xray prepare` on scans at a server, shared at a server, through the real command."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import send
from tests.system.conftest import Command
from tests.system.typed import Documented, Shell, Typed
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.files.s3 import S3Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SMALL = "--recipe quick --set images.height=32 --set images.width=32"


@pytest.fixture(scope="module")
def xray(alone: Command, prefect_url: str) -> Command:
    """The command, told of a Prefect server: what it starts where there is none is another file's matter."""
    return alone.at(prefect_url)


def catalog_of(ended: Typed) -> str:
    """Name the catalog that a command said it has made or found."""
    (found,) = re.findall(r"^catalog +(\S+)", ended.out, re.MULTILINE)
    return Path(found).name


def test_two_machines_and_a_disk_prepare_the_same(
    xray: Command, bucket: S3Path, documented: Documented, prefect_url: str, begin: Callable[[Path], None]
) -> None:
    write_phantoms(xray.folder / "scans", scans=80, seed=0, size=(64, 64))
    send(xray.folder / "scans", bucket / "coronahack")
    swap = {"s3://BUCKET": str(bucket)}
    prepare, run, export = documented.one("xray prepare"), documented.shown[0], documented.one("export")
    shell = Shell(xray.folder, xray.user, PREFECT_API_URL=prefect_url)
    on_disk = shell(f"xray prepare scans --home disk {SMALL}")
    alone = documented.run(shell, prepare, swap, f"--home first {SMALL}")
    begin(xray.folder / "first")
    del shell.settings["PREFECT_API_URL"]  # so that what Prefect writes down lies in this home
    first = documented.run(shell, run, swap, f"--home first {SMALL} --set training.epochs=1")
    shell = shell.new(PREFECT_API_URL=prefect_url)
    documented.export(shell, export, swap)
    second = documented.run(shell, prepare, swap, f"--home second {SMALL}")
    for ended in (on_disk, alone, first, second):
        assert ended.err == ""
    assert catalog_of(alone) == catalog_of(second) == catalog_of(on_disk)
    assert "80 decoded, 0 reused" in alone.out
    assert "0 decoded, 80 reused" in first.out
    assert "0 decoded, 80 reused" in second.out
    pixels = [sorted((xray.folder / home / "data" / "pixels").rglob("*.parquet")) for home in ("disk", "second")]
    assert [path.read_bytes() for path in pixels[0]] == [path.read_bytes() for path in pixels[1]] != []
    for home in ("disk", "first", "second"):
        for path in (xray.folder / home).rglob("*"):
            assert not path.is_file() or b"test-secret" not in path.read_bytes()


def test_mistakes_end_in_one_line(xray: Command, bucket: S3Path) -> None:
    write_phantoms(xray.folder / "few", scans=80, seed=0, size=(64, 64))
    said = {
        "must not contain credentials": ["s3://key:wJalr@scans/data"],
        "--prepared must be s3://BUCKET/FOLDER": ["few", "--prepared", "elsewhere"],
        "--prepared must be in an existing bucket": ["few", "--prepared", "s3://no-such-bucket/shared"],
        "data folder must be an existing folder. Received: s3://no-such-bucket/scans": ["s3://no-such-bucket/scans"],
        f"data folder must be an existing folder. Received: {bucket}/none": [f"{bucket}/none"],
    }
    for words, arguments in said.items():
        ended = xray("prepare", *arguments, *SMALL.split())
        assert (ended.code, ended.out) == (2, ""), ended.out + ended.err
        assert words in ended.err
        assert ended.err.count("\n") == 1
        assert "wJalr" not in ended.err
