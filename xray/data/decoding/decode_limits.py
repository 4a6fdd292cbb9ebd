"""Limits that a file must meet before it is decoded: its bytes, and the work and memory that its parts need.

Decoders believe a file: a JPEG of 300 KB may name 2,000 scans, a TIFF a tile of 2 GB. So its parts are counted first,
without their content. docs/score-new-scans.md lists the limits, docs/decisions/0013-bounds.md has the measurements.

Nothing of ours is imported here, and all of it is one file: a scoring process has the kept model's `xray` and not
ours, so it loads this file by its path (`xray.scoring.model_process_main`).
"""

import math
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

MOST_BYTES = 128 * 2**20
"""Of a file: as many as the most pixels of a scan take at 16 bits, not compressed, and some for the header."""

MOST_PIXELS = 64_000_000
"""Of a scan: four times a 4,000 x 4,000 detector's."""

MOST_SIDE = 65_535
"""Rows and columns of a scan, a JPEG's own limit. libtiff may print a line a row."""

MOST_RAW = 4 * MOST_PIXELS
"""Bytes of the pixels as a TIFF keeps them, and of a single strip or tile of them."""

MOST_SCANS = 100
"""Passes of a JPEG over its pixels. Real progressive files have 6 to 12."""

MOST_PARTS = 4_096
"""Segments of a JPEG."""

MOST_CHUNKS = 131_072
"""Chunks of a PNG: 128 MiB in pieces of 1 KiB."""

MOST_TAGS = 1_024
"""Entries of one directory of a TIFF. Real ones have 10 to 150."""

MOST_VALUES = 2**18
"""Numbers in all tags of a TIFF: enough for a palette of 16 bits, or the places of 100,000 strips."""

MOST_NOTES = 16 * 2**20
"""Bytes beside the pixels of a JPEG's or PNG's header: notes, profiles, comments."""

MOST_NOTE = 2**20
"""Bytes of one text of a PNG, and of EXIF notes, which Pillow reads value by value."""

MOST_JUNK = 2**16
"""Bytes between the segments of a JPEG's header, where there should be none; Pillow takes them one by one."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
# A marker that opens a segment or ends the picture; 00 and RST lie in the pixels' own data, 01 has no content.
_MARKER = re.compile(rb"\xff[^\xff\x00\x01\xd0-\xd8]")
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_WITHOUT_LENGTH = {0xC8, _EOI, *range(0x02, 0xC0), *range(0xF0, 0xFE)}
_TEXTS = {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
_FRAMES = {b"IDAT", b"fdAT"}

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value by its type, TIFF 6.0 and BigTIFF."""
_OPAQUE = {1, 2, 7}
_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS = 256, 257, 258, 259, 277, 278
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_POINTERS = {34665, 34853, 40965}
_NOT_COMPRESSED, _JPEGS = 1, {6, 7}

_Tags = dict[int, tuple[int, ...]]


class OutOfBounds(ValueError):
    """A file that is not decoded.

    Attributes:
        reason: `unreadable` or `too-large`.
        detail: The requirement, and what came.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both apart, and print them together."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@contextmanager
def opened(path: str | Path) -> Iterator[BufferedReader]:
    """Open a file for reading, if it is one; nothing else is waited for, and what is too large is not read.

    Raises:
        OutOfBounds: It is a pipe, a device, a socket or a folder, or has more than `MOST_BYTES`.
        OSError: It cannot be opened.
    """
    _require_file(Path(path).stat())  # a device may act on being opened
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    with open(os.open(path, flags), "rb") as file:
        _require_file(os.fstat(file.fileno()))  # it may be another one by now
        yield file


def read(path: str | Path) -> bytes:
    """Read a file whole.

    Raises:
        OutOfBounds: As `opened`, or it grew meanwhile.
        OSError: It cannot be read.
    """
    with opened(path) as file:
        data = file.read(MOST_BYTES + 1)
    require_size(len(data))
    return data


def require_size(size: int) -> None:
    """Refuse a file by its size in bytes.

    Raises:
        OutOfBounds: It has more than `MOST_BYTES`.
    """
    _require(size, MOST_BYTES, "a scan must have at most {most} bytes")


def check(data: bytes) -> None:
    """Refuse a file that would take its decoder too long or too much memory; whether it is a scan is not asked.

    Args:
        data: A file's bytes.

    Raises:
        OutOfBounds: It asks for more than this file's limits.
    """
    require_size(len(data))
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        _check_png(data)
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_tiff(data)


def _require(found: int, most: int, words: str, reason: str = "too-large") -> None:
    if found > most:
        raise OutOfBounds(reason, f"{words.format(most=f'{most:,}')}. Received: {found:,}")


def _stop_at(found: int, most: int, words: str) -> None:
    """Refuse before all of it is counted."""
    if found > most:
        raise OutOfBounds("too-large", f"{words.format(most=f'{most:,}')}. Received: more")


def _require_file(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
        raise OutOfBounds("unreadable", f"a scan must be a file. Received: {kind}")
    require_size(facts.st_size)


def _check_jpeg(data: bytes) -> None:
    """Walk the segments as Pillow and libjpeg do: what lies between two is skipped."""
    place, parts, scans, notes, exif, junk = 2, 0, 0, 0, 0, 0
    while True:
        # Before the pixels there is a marker soon, or Pillow would look for it byte by byte.
        found = _MARKER.search(data, place, len(data) if scans else place + MOST_JUNK + 2)
        start = found.end() if found else len(data)
        if not scans:
            junk += max(0, start - 2 - place)
            _require(junk, MOST_JUNK, "a JPEG's header must have at most {most} bytes between its parts", "unreadable")
        if not found or (scans and data[start - 1] == _EOI):
            return
        marker, place = data[start - 1], start
        if marker not in _WITHOUT_LENGTH:
            place += max(2, int.from_bytes(data[start : start + 2], "big"))
        parts += 1
        scans += marker == _SOS
        if not scans:
            notes += place - start
            exif += place - start if marker == _APP1 and data.startswith(b"Exif\0\0", start + 2) else 0
        _stop_at(parts, MOST_PARTS, "a JPEG must have at most {most} segments")
        _stop_at(scans, MOST_SCANS, "a JPEG must have at most {most} scans of its pixels")
        _stop_at(notes, MOST_NOTES, "a JPEG must have at most {most} bytes before its pixels")
        _stop_at(exif, MOST_NOTE, "EXIF notes must have at most {most} bytes")


def _check_png(data: bytes) -> None:
    place, chunks, notes = 8, 0, 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        chunks += 1
        _stop_at(chunks, MOST_CHUNKS, "a PNG must have at most {most} chunks")
        if kind == b"IEND":
            return
        if kind in _TEXTS:
            _require(length, MOST_NOTE, "a PNG's notes must have at most {most} bytes each")
        notes += 0 if kind in _FRAMES else length
        _stop_at(notes, MOST_NOTES, "a PNG must have at most {most} bytes beside its pixels")
        place += 12 + length


def _check_tiff(data: bytes) -> None:
    """Look at the first directory and those of its notes; Pillow reads no other one."""
    big = data[2:4] in (b"+\0", b"\0+")
    order = "<" if data.startswith(b"II") else ">"
    first = data[8:16] if big else data[4:8]
    tags, numbers = _directory(data, int.from_bytes(first, "little" if order == "<" else "big"), order, big)
    waiting, seen = [place for tag in _POINTERS for place in tags.get(tag, ())[:1]], set()
    while waiting and (place := waiting.pop()) not in seen:
        seen.add(place)
        notes, more = _directory(data, place, order, big)
        waiting += [place for tag in _POINTERS for place in notes.get(tag, ())[:1]]
        numbers += more
    _require(numbers, MOST_VALUES, "a TIFF's tags must hold at most {most} numbers")
    _check_pieces(tags, data)


def _directory(data: bytes, place: int, order: str, big: bool) -> tuple[_Tags, int]:
    """Read the whole numbers of a directory, and count the numbers of any kind. What lies outside the file is left."""
    count_of, entry = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    try:
        (count,) = struct.unpack_from(order + count_of, data, place)
    except (struct.error, OverflowError):
        return {}, 0
    _require(count, MOST_TAGS, "a TIFF's directory must have at most {most} entries")
    start, step, room = place + struct.calcsize(order + count_of), struct.calcsize(order + entry), 8 if big else 4
    tags: _Tags = {}
    numbers = 0
    for at in range(start, min(start + count * step, len(data) - step + 1), step):
        tag, kind, values, field = struct.unpack_from(order + entry, data, at)
        size = _SIZES.get(kind, 0) * values
        if not size or size > len(data):
            continue
        numbers += 0 if kind in _OPAQUE else values
        if kind not in _FORMATS or values > MOST_VALUES:
            continue
        where = at + step - room if size <= room else int.from_bytes(field, "little" if order == "<" else "big")
        if where + size <= len(data):
            tags[tag] = tags.get(tag, ()) + struct.unpack_from(f"{order}{values}{_FORMATS[kind]}", data, where)
    return tags, numbers


def _check_pieces(tags: _Tags, data: bytes) -> None:
    """Refuse strips and tiles that unpack to more than the scan, or that all lie on the same bytes."""
    width, height = max(tags.get(_WIDTH, (0,))), max(tags.get(_HEIGHT, (0,)))
    if width * height > MOST_PIXELS:
        return  # refused by its size, as a scan of any kind is
    _require(max(width, height), MOST_SIDE, "each side must have at most {most} pixels")
    samples = max(tags.get(_SAMPLES, (1,)))
    bytes_a_pixel = max(1, math.ceil(samples * max(tags.get(_BITS, (1,))) / 8))
    if _TILE_WIDTH in tags or _TILES in tags:
        piece = max(tags.get(_TILE_WIDTH, (0,))) * max(tags.get(_TILE_HEIGHT, (0,)))
        pieces, sizes = len(tags.get(_TILES, ())), tags.get(_TILE_BYTES, ())
    else:
        piece = width * min(height, max(tags.get(_ROWS, (height,))))
        pieces, sizes = len(tags.get(_STRIPS, ())), tags.get(_STRIP_BYTES, ())
    most = MOST_RAW
    _require(width * height * bytes_a_pixel, most, "a TIFF's pixels must have at most {most} bytes")
    _require(piece * bytes_a_pixel, most, "a TIFF's strip or tile must unpack to at most {most} bytes")
    _require(piece * pieces, 2 * MOST_PIXELS * samples, "a TIFF's strips or tiles must have at most {most} pixels")
    compression = max(tags.get(_COMPRESSION, (_NOT_COMPRESSED,)))
    if pieces > 1 and compression != _NOT_COMPRESSED:
        _require(sum(sizes), 4 * len(data), "a TIFF's strips or tiles must lie in {most} bytes")
    if compression in _JPEGS:
        _require(data.count(b"\xff\xda") - max(0, pieces - 1), MOST_SCANS, "a JPEG must have at most {most} scans")
