"""Damage that decoders pass over in silence: wrong check sums of a PNG, pieces of a TIFF that are not there."""

import struct
import zlib
from collections.abc import Sequence

from PIL.TiffImagePlugin import TiffImageFile

from xray.errors import ImageError

_PNG_END = b"IEND"
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325


def check_png(data: bytes) -> None:
    """Refuse a PNG without its end, or with a part whose CRC is wrong: PNG specification, 5.3.

    Raises:
        ImageError: `unreadable`.
    """
    place, kind = 8, b""
    while place + 8 <= len(data) and kind != _PNG_END:
        length, kind = struct.unpack_from(">I4s", data, place)
        body = memoryview(data)[place + 4 : place + 8 + length]
        written = data[place + 8 + length : place + 12 + length]
        if len(written) == 4 and zlib.crc32(body) != int.from_bytes(written, "big"):
            raise ImageError("unreadable", f"a scan must be undamaged. Received: a wrong CRC in {_shown(kind)}")
        place += 12 + length
    if kind != _PNG_END or place > len(data):
        raise ImageError("unreadable", f"a scan must be a whole file. Received: {len(data)} bytes, cut short")


def check_tiff_pieces(image: TiffImageFile, data: bytes) -> None:
    """Refuse a TIFF with a strip or tile that holds nothing, or lies outside the file: it would be black.

    Raises:
        ImageError: `unreadable`.
    """
    for places, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        starts, lengths = _numbers(image.tag_v2.get(places)), _numbers(image.tag_v2.get(sizes))
        for number, start in enumerate(starts):
            length = lengths[number] if number < len(lengths) else 1
            if length <= 0 or not 0 < start < len(data):
                raise ImageError("unreadable", f"a scan must be undamaged. Received: no data for piece {number + 1}")


def _numbers(value: object) -> Sequence[int]:
    return value if isinstance(value, tuple) else () if value is None else (int(str(value)),)


def _shown(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
