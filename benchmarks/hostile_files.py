"""What may lie in an inbox beside scans: files cut, flipped and made to cost a decoder dear, and odd names and items.

The same seed writes the same bytes. No file is larger than some 60 MB, apart from sparse ones, which take no disk.
"""

import io
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray.data.phantoms.drawing import draw_chest

SIDE = 256
FORMATS: dict[str, dict[str, Any]] = {
    "gray.jpeg": {"format": "JPEG"},
    "progressive.jpeg": {"format": "JPEG", "progressive": True},
    "gray.png": {"format": "PNG"},
    "deep.png": {"format": "PNG", "deep": True},
    "raw.tif": {"format": "TIFF"},
    "deep.tif": {"format": "TIFF", "deep": True},
    "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw", "deep": True},
    "deflated.tif": {"format": "TIFF", "compression": "tiff_deflate"},
    "jpeg.tif": {"format": "TIFF", "compression": "jpeg"},
    "big.tif": {"format": "TIFF", "big_tiff": True},
}
SIGNATURES = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NAMES = (b"r\xf6ntgen.png", b"two\nlines.png", b"\x1b[31mred.png", b"[bold]b[b].png", b"-rf.png", b"quote'\".png")
NAMES += ("\u202egnp.png".encode(), rb"\xf6.png", b"x" * 251 + b".png", "胸部 röntgen.png".encode(), b"%s {0}.png")
"""Names of good scans."""


def write_hostile(folder: Path, seed: int, each: int, bombs: int) -> int:
    """Write hostile files into a folder.

    Args:
        folder: A folder that is there.
        seed: Of everything.
        each: How often each format is cut, and how often flipped; as often is each signature followed by noise.
        bombs: Bytes that the largest ones have, about.

    Returns:
        How many items lie there now.
    """
    generator = np.random.default_rng(seed)
    good = ((os.fsdecode(name), _saved(generator, "gray.png")) for name in NAMES)
    count = 0
    for name, data in chain(
        _damaged(generator, each), _noise(generator, each), good, _jpegs(bombs), _pngs(bombs), _tiffs(bombs)
    ):
        (folder / name).write_bytes(data)
        count += 1
    return count + _odd_items(folder)


def _saved(generator: np.random.Generator, kind: str) -> bytes:
    how = dict(FORMATS[kind])
    pixels = draw_chest("bacterial", (7, 1), (7, int(generator.integers(2**31))), (SIDE, SIDE)).astype(np.uint16)
    pixels = pixels * 16 if how.pop("deep", False) else pixels.astype(np.uint8)
    return _file(pixels, **how)


def _file(pixels: NDArray[Any], **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **how)
    return file.getvalue()


def _damaged(generator: np.random.Generator, each: int) -> Iterator[tuple[str, bytes]]:
    for kind in FORMATS:
        for number in range(each):
            data = _saved(generator, kind)
            yield f"cut-{number}-{kind}", data[: generator.integers(len(data))]
            flipped = bytearray(data)
            for place in generator.integers(len(data), size=3):
                flipped[place] ^= 1 << int(generator.integers(8))
            yield f"flipped-{number}-{kind}", bytes(flipped)


def _noise(generator: np.random.Generator, each: int) -> Iterator[tuple[str, bytes]]:
    for kind, signature in enumerate(SIGNATURES):
        for number in range(each):
            yield f"noise-{number}-{kind}", signature + generator.bytes(int(generator.integers(5000)))


def _jpegs(bombs: int) -> Iterator[tuple[str, bytes]]:
    pixels = np.full((2000, 2000), 90, np.uint8)
    pixels[::17] = 30
    data = _file(pixels, format="JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xc4") : -2]
    for number, scans in enumerate((90, 95, 200, 2000, bombs // len(scan))):
        yield f"scans-{number}.jpeg", data[:-2] + scan * scans + b"\xff\xd9"
    start, rest = data[:2], data[2:]
    comment, exif = b"\xff\xfe\xff\xff" + bytes(65533), b"\xff\xe1\xff\xff" + b"Exif\0\0" + bytes(65527)
    resources = b"\xff\xed\xff\xff" + (b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5460)[:65533].ljust(65533, b"\0")
    yield "zeros.jpeg", b"\xff\xd8\xff\xe0" + bytes(bombs)
    yield "ones.jpeg", b"\xff\xd8" + b"\xff" * bombs
    yield "comments.jpeg", start + comment * (bombs // len(comment)) + rest
    yield "short-comments.jpeg", start + b"\xff\xfe\0\2" * (bombs // 4) + rest
    yield "exif.jpeg", start + exif * (bombs // len(exif)) + rest
    yield "resources.jpeg", start + resources * (bombs // len(resources)) + rest
    yield "no-pixels.jpeg", data[: data.index(b"\xff\xda")] + bytes(bombs)


def _pngs(bombs: int) -> Iterator[tuple[str, bytes]]:
    data = _file(np.full((SIDE, SIDE), 90, np.uint8), format="PNG")
    head, tail = data[:33], data[33:]
    packed = zlib.compress(bytes(20 * bombs), 9)
    for name, body in {
        b"zTXt": b"k\0\0" + packed,
        b"iTXt": b"k\0\1\0\0\0" + packed,
        b"iCCP": b"k\0\0" + packed,
        b"tEXt": b"k\0" + bytes(bombs),
        b"eXIf": b"II*\0" + bytes(bombs),
        b"teSt": bytes(bombs),
    }.items():
        yield f"{name.decode()}.png", head + _chunk(name, body) + tail
    yield "chunks.png", head + _chunk(b"teSt", b"") * (bombs // 12) + tail
    yield "inflates.png", head + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
    for side in (8_100, 30_000, 2**31 - 1):
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        yield f"side-{side}.png", data[:8] + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _tiffs(bombs: int) -> Iterator[tuple[str, bytes]]:
    side = min(4000, int((bombs / 2) ** 0.5))
    for number in range(12):  # no fault but their size
        deep = np.add.outer(np.arange(side), np.arange(side) + number).astype(np.uint16)
        yield f"large-{number}.tif", _file(deep, format="TIFF", compression="tiff_deflate")
    many = min(bombs // 4, 2**22)
    places = struct.pack("<I", 8) * many
    at = 8 + 64 * 64
    for name, tags in {
        "strips": {273: (4, many, at)},
        "depths": {258: (3, 2 * many, at)},
        "numbers": {34665: (4, 1, at + 4 * many)},
        "again": {256: (4, 1, 7900), 257: (4, 1, 7900), 278: (4, 1, 7899), 273: (4, min(many, 60_000), at)},
        "tile": {322: (4, 1, 46_000), 323: (4, 1, 46_000), 324: (4, 1, 8), 259: (3, 1, 8)},
        "strip": {256: (4, 1, 2**16), 257: (4, 1, 900), 258: (3, 1, 64), 259: (3, 1, 5)},
        "tags": dict.fromkeys(range(400, 60_000), (4, 1, 0)),
        "itself": {34665: (4, 1, at + 4 * many + 18)},
    }.items():
        notes = struct.pack("<HHHII", 1, 37500, 5, many // 2, at) + bytes(4)
        loop = struct.pack("<HHHIII", 1, 34665, 4, 1, at + 4 * many + 18, 0)
        yield f"{name}.tif", _tiff(tags, places + notes + loop)


def _tiff(tags: dict[int, tuple[int, int, int]], tail: bytes) -> bytes:
    pixels = bytes(64 * 64)
    usual = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 64, 279: len(pixels)}
    entries = {tag: (4, 1, value) for tag, value in usual.items()} | tags
    packed = b"".join(struct.pack("<HHII", tag, *fields) for tag, fields in sorted(entries.items()))
    place = 8 + len(pixels) + len(tail)
    return struct.pack("<4sI", b"II*\0", place) + pixels + tail + struct.pack("<H", len(entries)) + packed + bytes(4)


def _odd_items(folder: Path) -> int:
    """Make what is no file, or none that can be read, and count it."""
    for number, size in enumerate((300_000_000, 3_000_000_000)):
        with (folder / f"sparse-{number}.tif").open("wb") as file:
            file.write(b"II*\0")
            file.truncate(size)
    for link, target in (("self.png", "self.png"), ("one", "two"), ("two", "one"), ("nothing.png", "nothing at all")):
        (folder / link).symlink_to(target)
    for link, place in (("zero.png", "/dev/zero"), ("out.png", "/etc/hostname"), ("up", "..")):
        (folder / link).symlink_to(place)
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))  # its name has 108 bytes at most
    (folder / "folder.png").mkdir()
    for number in range(2):
        (folder / f"lost+found-{number}").mkdir()
        (folder / f"lost+found-{number}" / "scan.png").write_bytes(b"scan")
        (folder / f"lost+found-{number}").chmod(0)
    _dig(folder / "deep", 2100)
    return 15


def _dig(folder: Path, levels: int) -> None:
    """Make folders so deep that no path reaches the last one; `rm -r` removes them."""
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
