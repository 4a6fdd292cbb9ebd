"""What no scanner writes is refused before a decoder takes it up; what scanners write passes."""

import io
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from xray.config import Images
from xray.data.decoding import decode_limits
from xray.data.decoding.image_decoder import REASONS, decode, normalize
from xray.data.phantoms.drawing import draw_chest
from xray.errors import ImageError

CHEST = draw_chest("normal", (0, 1), (0, 1), (320, 256))
COLOUR = np.dstack([CHEST, CHEST // 2, 255 - CHEST])


def saved(pixels: NDArray[Any], kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **how)
    return file.getvalue()


PROGRESSIVE = saved(COLOUR, "JPEG", progressive=True)
SCANS = PROGRESSIVE.count(b"\xff\xda")
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xc4") : -2]
PNG, JPEG = saved(CHEST, "PNG"), saved(CHEST, "JPEG")

USUAL = {
    "jpeg": JPEG,
    "progressive jpeg": PROGRESSIVE,
    "jpeg with a profile, notes and a comment": saved(
        CHEST, "JPEG", icc_profile=bytes(500_000), exif=b"Exif\0\0" + bytes(60_000), comment=b"x" * 60_000
    ),
    "jpeg in many restarts": saved(CHEST, "JPEG", restart_marker_blocks=1),
    "png": PNG,
    "16-bit png": saved(CHEST.astype(np.uint16) * 16, "PNG"),
    "png in colour with a profile": saved(COLOUR, "PNG", icc_profile=bytes(100_000)),
    "tiff": saved(CHEST, "TIFF"),
    "16-bit tiff": saved(CHEST.astype(np.uint16) * 16, "TIFF"),
    "big tiff": saved(CHEST, "TIFF", big_tiff=True),
    "tiff a row a strip": saved(CHEST, "TIFF", compression="tiff_lzw", strip_size=1),
    "tiff in colour, deflated": saved(COLOUR, "TIFF", compression="tiff_deflate"),
    "tiff of jpegs": saved(COLOUR, "TIFF", compression="jpeg", strip_size=320 * 16),
    "floating tiff": saved(CHEST.astype(np.float32), "TIFF", compression="tiff_lzw"),
}


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def before_pixels(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunks(*chunks: bytes) -> bytes:
    return PNG[:33] + b"".join(chunks) + PNG[33:]


def tiff(tags: Mapping[int, tuple[int, int, int]], tail: bytes = b"", big: bool = False) -> bytes:
    """A TIFF of one gray picture of 64 x 64 with changed tags: type, count, and value or place."""
    pixels = bytes(64 * 64)
    start = 16 if big else 8
    place = start + len(pixels) + len(tail)
    usual = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: start, 277: 1, 278: 64, 279: len(pixels)}
    entries = {tag: (4, 1, value) for tag, value in usual.items()} | dict(tags)
    header, count, entry, end = (
        (struct.pack("<4sHHQ", b"II+\0", 8, 0, place), "<Q", "<HHQQ", bytes(8))
        if big
        else (struct.pack("<4sI", b"II*\0", place), "<H", "<HHII", bytes(4))
    )
    packed = b"".join(struct.pack(entry, tag, *fields) for tag, fields in sorted(entries.items()) if fields[1])
    held = sum(1 for fields in entries.values() if fields[1])
    return header + pixels + tail + struct.pack(count, held) + packed + end


MANY = struct.pack("<I", 8) * 300_000
"""Places of strips, all the same."""
AT = 8 + 64 * 64
"""Where the tail of a TIFF of `tiff` lies."""

HOSTILE: dict[str, tuple[bytes, str]] = {
    "2,000 scans": (PROGRESSIVE[:-2] + LAST_SCAN * 2000 + b"\xff\xd9", "too-large: a JPEG must have at most 100 scans"),
    "30 MB of scans": (
        PROGRESSIVE[:-2] + LAST_SCAN * (30_000_000 // len(LAST_SCAN)) + b"\xff\xd9",
        "too-large: a JPEG must have at most 100 scans",
    ),
    "an end hidden among the tables": (
        PROGRESSIVE[:-2] + (segment(0xFE, b"\xff\xd9") + LAST_SCAN) * 200 + b"\xff\xd9",
        "too-large: a JPEG must have at most 100 scans",
    ),
    "zeros for a header": (b"\xff\xd8\xff\xe0" + bytes(60_000_000), "unreadable: a JPEG's header"),
    "ones for a header": (b"\xff\xd8" + b"\xff" * 60_000_000, "unreadable: a JPEG's header"),
    "zeros between segments": (before_pixels(segment(0xFE, b"x"), bytes(1_000_000)), "unreadable: a JPEG's header"),
    "many comments": (before_pixels(*[segment(0xFE, b"")] * 5000), "too-large: a JPEG must have at most 4,096"),
    "long comments": (before_pixels(*[segment(0xFE, bytes(65_000))] * 300), "too-large: a JPEG must have at most 16,"),
    "long EXIF notes": (before_pixels(*[segment(0xE1, b"Exif\0\0" + bytes(65_000))] * 20), "too-large: EXIF notes"),
    "many chunks": (with_chunks(*[chunk(b"teSt", b"")] * 140_000), "too-large: a PNG must have at most 131,072 chunks"),
    "a long text": (with_chunks(chunk(b"tEXt", b"k\0" + bytes(2_000_000))), "too-large: a PNG's notes"),
    "long notes": (with_chunks(chunk(b"eXIf", b"II*\0" + bytes(2_000_000))), "too-large: a PNG's notes"),
    "other chunks": (with_chunks(*[chunk(b"teSt", bytes(1_000_000))] * 20), "too-large: a PNG must have at most 16,"),
    "many tags": (tiff(dict.fromkeys(range(400, 2000), (4, 1, 0))), "too-large: a TIFF's directory"),
    "many tags, big": (tiff(dict.fromkeys(range(400, 2000), (4, 1, 0)), big=True), "too-large: a TIFF's directory"),
    "many numbers in a tag": (tiff({700: (4, 300_000, AT)}, MANY), "too-large: a TIFF's tags"),
    "many strips": (tiff({273: (4, 300_000, AT)}, MANY), "too-large: a TIFF's tags"),
    "strips again and again": (
        tiff({256: (4, 1, 7000), 257: (4, 1, 7000), 278: (4, 1, 6999), 273: (4, 50_000, AT)}, MANY[:200_000]),
        "too-large: a TIFF's strips or tiles must have",
    ),
    "rows and rows": (
        tiff({256: (4, 1, 32), 257: (4, 1, 70_000), 278: (4, 1, 70_000)}),
        "too-large: each side must have at most 65,535 pixels",
    ),
    "a tile of gigabytes": (
        tiff({322: (4, 1, 60_000), 323: (4, 1, 60_000), 324: (4, 1, 8), 259: (4, 1, 8), 273: (4, 0, 0)}),
        "too-large: a TIFF's strip or tile must unpack",
    ),
    "wide pixels": (
        tiff({256: (4, 1, 7900), 257: (4, 1, 7900), 258: (4, 1, 64)}),
        "too-large: a TIFF's pixels must have at most 256,000,000 bytes",
    ),
    "strips on the same bytes": (
        tiff(
            {259: (4, 1, 5), 278: (4, 1, 1), 273: (4, 64, AT), 279: (4, 64, AT + 256)},
            MANY[:256] + struct.pack("<I", 4096) * 64,
        ),
        "too-large: a TIFF's strips or tiles must lie",
    ),
    "notes of many numbers": (
        tiff({34665: (4, 1, AT)}, struct.pack("<HHHII", 1, 37500, 5, 280_000, AT + 18) + bytes(2_240_100)),
        "too-large: a TIFF's tags",
    ),
    "notes that lead to themselves": (tiff({34665: (4, 1, AT)}, struct.pack("<HHHII", 1, 34665, 4, 1, AT)), ""),
    "a jpeg of many scans in a strip": (
        saved(COLOUR, "TIFF", compression="jpeg") + b"\xff\xda" * 200,
        "too-large: a JPEG must have at most 100 scans",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", USUAL)
def test_what_scanners_write_passes(kind: str) -> None:
    decode_limits.check(USUAL[kind])
    assert decode(USUAL[kind]).pixels.shape == CHEST.shape


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_no_scanner_writes_is_refused_at_once(kind: str) -> None:
    data, words = HOSTILE[kind]
    began = time.process_time()
    try:
        normalize(data, Images())
    except ImageError as error:
        assert str(error).startswith(words)
        assert error.reason in REASONS
    else:
        assert not words
    assert time.process_time() - began < 2


def test_hundred_scans_of_a_jpeg_pass_and_one_more_does_not() -> None:
    def of(scans: int) -> bytes:
        return PROGRESSIVE[:-2] + LAST_SCAN * (scans - SCANS) + b"\xff\xd9"

    with pytest.raises(ImageError, match="undamaged"):  # within the limit libjpeg looks, and sees the same scan again
        decode(of(100))
    with pytest.raises(ImageError, match=r"at most 100 scans of its pixels. Received: more$"):
        decode(of(101))


def test_a_thumbnail_s_scans_do_not_count() -> None:
    thumbnail = segment(0xE1, b"Exif\0\0" + b"\xff\xda" * 5000)
    assert decode(before_pixels(thumbnail)).pixels.shape == CHEST.shape


@pytest.mark.parametrize("signature", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_any_bytes_behind_a_signature_are_checked_without_an_error_of_python_s(signature: bytes) -> None:
    generator = np.random.default_rng(0)
    for size in (0, 1, 4, 9, 20, 60, 500):
        for _ in range(200):
            try:
                decode_limits.check(signature + generator.bytes(size))
            except decode_limits.OutOfBounds as error:
                assert error.reason in REASONS


class TestFiles:
    def test_a_file_is_read_whole(self, tmp_path: Path) -> None:
        (tmp_path / "scan.png").write_bytes(PNG)
        (tmp_path / "link.png").symlink_to("scan.png")
        assert decode_limits.read(tmp_path / "scan.png") == decode_limits.read(tmp_path / "link.png") == PNG

    def test_what_is_no_file_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tmp_path / "socket"))
            places = {"a pipe": tmp_path / "pipe", "a socket": tmp_path / "socket", "a folder": tmp_path}
            for kind, path in {**places, "a device": Path("/dev/zero")}.items():
                with pytest.raises(
                    decode_limits.OutOfBounds, match=rf"^unreadable: a scan must be a file. Received: {kind}$"
                ):
                    decode_limits.read(path)

    def test_a_pipe_that_takes_a_file_s_place_is_not_waited_for(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(PNG)
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "scan").symlink_to("file")
        with swapping(tmp_path / "scan", ("file", "pipe")):
            for _ in range(2000):
                try:
                    assert decode_limits.read(tmp_path / "scan") == PNG
                except decode_limits.OutOfBounds as error:
                    assert error.detail.endswith("a pipe")

    def test_a_file_of_3_gb_is_refused_by_its_size(self, tmp_path: Path) -> None:
        (tmp_path / "sparse.tif").touch()
        os.truncate(tmp_path / "sparse.tif", 3_000_000_000)
        with pytest.raises(
            decode_limits.OutOfBounds, match=r"^too-large: .* 134,217,728 bytes. Received: 3,000,000,000$"
        ):
            decode_limits.read(tmp_path / "sparse.tif")


@contextmanager
def swapping(link: Path, targets: tuple[str, str]) -> Iterator[None]:
    """Point a link at one target and the other in turn for as long as the block lasts."""
    done = threading.Event()

    def swap() -> None:
        number = 0
        while not done.is_set():
            number += 1
            (link.parent / "next").symlink_to(targets[number % 2])
            (link.parent / "next").replace(link)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
