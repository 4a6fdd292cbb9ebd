"""Bad files, bad names, a full disk and broken shards, through `xray prepare` on one folder that grows."""

import hashlib
import re
import resource
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.system.conftest import Command, Ended, written_below
from xray.data.phantoms.write_phantoms import write_phantoms

METADATA = "Chest_xray_Corona_Metadata.csv"
LONG = "x" * 300 + ".png"
BOMB_SIDE = 30_000
BOMB_PIXELS = BOMB_SIDE**2
AT_FIRST, LATER, AT_LAST = 60, 63, 200
"""Phantoms in the folder: in the beginning, with a few new ones, and with as many as do not fit the disk."""

DISK = 8_000_000
"""Bytes that a file may have where the disk is full: fewer than a shard of the last new scans at 300 x 300 takes."""

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

Write = Callable[[Path], object]


def text(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def picture(width: int, height: int, kind: str) -> Write:
    """A picture of noise, of the given kind whatever its name says."""
    pixels = np.random.default_rng(width).integers(0, 256, (height, width), np.uint8)
    return lambda path: Image.fromarray(pixels).save(path, kind)


def cut_short(path: Path) -> None:
    picture(64, 64, "JPEG")(path)
    path.write_bytes(path.read_bytes()[:900])


def bomb(path: Path) -> None:
    """A PNG of a few kilobytes that says it is 30,000 x 30,000, and holds as much as zlib packs into that."""
    row = zlib.compressobj(9)
    packed = b"".join(row.compress(bytes(BOMB_SIDE + 1)) for _ in range(1000)) + row.flush()
    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def link_out(path: Path) -> None:
    outside = path.parents[2] / "outside.png"
    picture(64, 64, "PNG")(outside)
    path.symlink_to(outside)


def nothing(path: Path) -> None:
    """A row without a file."""


REJECTED: dict[str, tuple[str, Write]] = {
    "zero-byte.jpeg": ("not-an-image", text(b"")),
    "text.jpeg": ("not-an-image", text(b"this is no scan\n")),
    "page.png": ("not-an-image", text(b"<!doctype html><title>403 Forbidden</title>")),
    "cut-short.jpeg": ("unreadable", cut_short),
    "one-pixel.png": ("too-small", picture(1, 1, "PNG")),
    "bomb.png": ("too-large", bomb),
    "link.png": ("unsafe-name", link_out),
    "../escaped.png": ("unsafe-name", picture(66, 66, "PNG")),
    "/etc/hostname": ("unsafe-name", nothing),
    "nul\0.png": ("no-file", nothing),
    LONG: ("no-file", nothing),
    "no file.png": ("no-file", nothing),
}
READ: dict[str, Write] = {
    "a png.jpeg": picture(70, 64, "PNG"),
    "name with  spaces.png": picture(71, 64, "PNG"),
    "röntgen-胸部.png": picture(72, 64, "PNG"),
}


class Folder:
    """A data folder of phantoms and of the files above, that grows."""

    def __init__(self, folder: Path, phantoms: Path) -> None:
        self.folder, self.phantoms = folder, phantoms
        (folder / "train").mkdir(parents=True)
        (folder / "test").mkdir()
        for name, write in [*((name, write) for name, (_, write) in REJECTED.items()), *READ.items()]:
            write(folder / "train" / name)
        (folder / "train" / "without a row.png").write_bytes(b"")

    def grow(self, scans: int) -> None:
        header, *rows = (self.phantoms / METADATA).read_text().splitlines()
        for row in rows[:scans]:
            _, name, _, official, *_ = row.split(",")
            target = self.folder / official.lower() / name
            if not target.exists():
                shutil.copy(self.phantoms / official.lower() / name, target)
        more = [f"9,{name},Normal,TRAIN,," for name in [*REJECTED, *READ]]
        more.append("9,healthy.png,Healthy,TRAIN,,")
        lines = [header, *rows[:scans], *more]
        (self.folder / METADATA).write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(xray: Command, *settings: str, before: Callable[[], None] | None = None) -> Ended:
    options = [part for setting in settings for part in ("--set", setting)]
    return xray("prepare", "data", "--recipe", "article", "--home", "home", *options, before=before)


@pytest.fixture(scope="module")
def xray(alone: Command, prefect_url: str) -> Command:
    """The command, told of a Prefect server; the first in the home, and that on a full disk, start their own."""
    return alone.at(prefect_url)


@pytest.fixture(scope="module")
def data(xray: Command) -> Folder:
    write_phantoms(xray.folder / "phantoms", scans=AT_LAST, seed=0, size=(64, 64))
    return Folder(xray.folder / "data", xray.folder / "phantoms")


@pytest.fixture(scope="module")
def first(alone: Command, data: Folder, begin: Callable[[Path], None]) -> Ended:
    data.grow(AT_FIRST)
    begin(alone.folder / "home")
    return prepare(alone)


def counts(ended: Ended) -> tuple[int, int]:
    """Scans decoded and reused, as the command says."""
    found = re.search(r"pixel store \w+: (\d+) decoded, (\d+) reused", ended.out)
    assert found, ended.out
    return int(found[1]), int(found[2])


def catalog_of(xray: Command, ended: Ended) -> Path:
    found = re.search(r"^catalog +(\S+)", ended.out, re.MULTILINE)
    assert found, ended.out
    return xray.folder / found[1]


def store_of(xray: Command) -> Path:
    (folder,) = (xray.folder / "home" / "data" / "pixels").iterdir()
    return folder


def content(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, apart from locks."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in written_below(folder)
        if (folder / name).is_file() and not name.endswith(".lock")
    }


def test_bad_files_and_names_stop_nothing(first: Ended) -> None:
    assert (first.code, first.err, first.left) == (0, "", [])


@pytest.mark.parametrize("name", REJECTED)
def test_each_bad_file_or_name_is_rejected_with_its_reason(name: str, first: Ended, xray: Command) -> None:
    rejects = pd.read_parquet(catalog_of(xray, first) / "rejects.parquet").set_index("image_id")
    assert rejects.loc[name, "reason"] == REJECTED[name][0]
    assert rejects.loc[name, "detail"]


def test_an_unknown_label_and_a_file_without_a_row_are_rejected(first: Ended, xray: Command) -> None:
    reasons = pd.read_parquet(catalog_of(xray, first) / "rejects.parquet").set_index("image_id")["reason"]
    assert reasons["healthy.png"] == "unknown-label"
    assert reasons["without a row.png"] == "no-row"
    assert len(reasons) == len(REJECTED) + 2


@pytest.mark.parametrize("name", READ)
def test_a_wrong_extension_spaces_and_other_scripts_are_read(name: str, first: Ended, xray: Command) -> None:
    rows = pd.read_parquet(catalog_of(xray, first) / "catalog.parquet")
    assert name in set(rows["image_id"])
    assert len(rows) == AT_FIRST + len(READ)


def test_the_command_lists_the_reasons(first: Ended) -> None:
    for reason in {reason for reason, _ in REJECTED.values()} | {"unknown-label", "no-row"}:
        assert re.search(rf"│ {reason} +│", first.out)


def test_the_bomb_takes_no_memory(first: Ended) -> None:
    assert 0 < first.most_memory < BOMB_PIXELS


def test_only_new_scans_are_decoded(first: Ended, xray: Command, data: Folder) -> None:
    files = len(REJECTED) - len([0 for reason, _ in REJECTED.values() if reason in {"no-file", "unsafe-name"}])
    assert counts(first) == (AT_FIRST + files + len(READ), 0)
    data.grow(LATER)
    more = prepare(xray, "split.seed=7")
    assert counts(more) == (LATER - AT_FIRST, AT_FIRST + files + len(READ))
    assert catalog_of(xray, more) != catalog_of(xray, first)


def test_a_new_seed_decodes_nothing(first: Ended, xray: Command) -> None:
    before = content(store_of(xray))
    again = prepare(xray, "split.seed=8")
    assert counts(again)[0] == 0
    assert content(store_of(xray)) == before


def test_a_full_disk_ends_in_one_line_and_leaves_the_store_whole(
    first: Ended, alone: Command, xray: Command, data: Folder
) -> None:
    before = content(store_of(xray))
    data.grow(AT_LAST)
    ended = prepare(alone, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK)))
    assert ended.code == 2
    assert ended.err.startswith("xray: ")
    assert ended.err.count("\n") == 1, ended.err
    assert "must be writable and have free space" in ended.err
    assert content(store_of(xray)) == before
    assert ended.left == []


def test_changed_and_missing_shards_are_noticed_and_rebuilt(first: Ended, xray: Command) -> None:
    whole = prepare(xray)
    changed, missing = sorted(store_of(xray).glob("shard-*.parquet"), key=lambda path: path.stat().st_size)[-2:]
    catalog = content(catalog_of(xray, whole))
    pixels = changed.read_bytes()
    changed.write_bytes(pixels[:5000] + bytes([pixels[5000] ^ 1]) + pixels[5001:])
    missing.unlink()
    again = prepare(xray)
    assert again.code == 0
    assert again.out.count("is missing or has changed") == 2
    assert counts(again)[0] > 0
    assert content(catalog_of(xray, again)) == catalog
    assert counts(prepare(xray))[0] == 0


def test_nothing_was_written_into_the_users_home(first: Ended, xray: Command) -> None:
    assert written_below(xray.user) == []
