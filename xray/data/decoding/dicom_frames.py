"""Packed DICOM pixels unpacked by imagecodecs, which lets go of Python's lock: a plugin of pydicom's decoders."""

from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from pydicom import uid

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

LABEL = "imagecodecs"
"""What pydicom calls the plugin."""

JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
CODECS = {
    **dict.fromkeys(JPEG, "jpeg8"),
    **dict.fromkeys(JPEG_LS, "jpegls"),
    **dict.fromkeys(JPEG_2000, "jpeg2k"),
    uid.RLELossless: "dicomrle",
}
DECODER_DEPENDENCIES = dict.fromkeys(CODECS, (LABEL,))
"""Of each transfer syntax, as pydicom asks for it."""

_NO_FRAME = {0xC4, 0xC8, 0xCC}
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - _NO_FRAME
"""Markers of a JPEG's frame header, which has its size: ISO 10918-1, B.1.1.3; ISO 14495-1, C.1.1."""

_SCAN, _END = 0xDA, b"\xff\xd9"
_CODESTREAM, _SIZE = b"\xff\x4f\xff\x51", slice(8, 24)
"""A JPEG 2000 codestream begins so, and has its size there: ISO 15444-1, A.5.1."""

_BEGINNING = 4096
"""Bytes in which a codestream begins, where some device has put it into boxes."""

_adding = Lock()


def is_available(syntax: uid.UID) -> bool:
    """Whether a transfer syntax can be read here; asked by pydicom."""
    return syntax in CODECS and find_spec(LABEL) is not None


def register() -> None:
    """Make the plugin known to pydicom's decoders, from whichever thread comes first."""
    from pydicom.pixels.decoders.base import get_decoder

    with _adding:
        for decoder in map(get_decoder, CODECS):
            if LABEL not in decoder.available_plugins:
                decoder.add_plugin(LABEL, (__name__, decode_frame.__name__))


def decode_frame(packed: bytes, runner: "DecodeRunner") -> bytes:
    """Unpack one frame; called by pydicom.

    Args:
        packed: The frame as it lies in the file.
        runner: What the file says of it; is told how many bits a value takes now.

    Raises:
        ValueError: The frame is not whole, or not of the size that the file says.
    """
    import imagecodecs

    syntax = runner.transfer_syntax
    if syntax == uid.RLELossless:
        plain = imagecodecs.dicomrle_decode(packed, np.dtype(f"<u{runner.bits_allocated // 8}"))
        return np.asarray(plain, order="C").tobytes()
    # A frame that says another size than its file would otherwise take any memory.
    size = _size_of_jpeg2000(packed) if syntax in JPEG_2000 else _size_of_jpeg(packed)
    if size != (runner.rows, runner.columns):
        raise ValueError(f"a frame must have the size that its file says. Received: {size}")
    plain = getattr(imagecodecs, f"{CODECS[syntax]}_decode")(packed)
    runner.set_option("bits_allocated", 8 * plain.dtype.itemsize)
    return np.asarray(plain, order="C").tobytes()


def _size_of_jpeg(packed: bytes) -> tuple[int, int]:
    """Read the rows and columns of a JPEG that has its end: without, what is missing would be gray."""
    size, at = None, 2
    while at + 9 <= len(packed) and packed[at] == 0xFF:
        marker, length = packed[at + 1], int.from_bytes(packed[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            size = int.from_bytes(packed[at + 5 : at + 7], "big"), int.from_bytes(packed[at + 7 : at + 9], "big")
        if marker == _SCAN and size is not None and _END in packed[at:]:
            return size
        at += 1 if marker == 0xFF else 2 + length
    raise ValueError(f"a JPEG must be whole. Received: {len(packed)} bytes")


def _size_of_jpeg2000(packed: bytes) -> tuple[int, int]:
    """Read the rows and columns of a JPEG 2000."""
    start = packed.find(_CODESTREAM, 0, _BEGINNING)
    numbers = packed[start:][_SIZE]
    if start < 0 or len(numbers) < 16:
        raise ValueError(f"a JPEG 2000 must be whole. Received: {len(packed)} bytes")
    right, below, left, above = np.frombuffer(numbers, ">u4").tolist()
    return below - above, right - left
