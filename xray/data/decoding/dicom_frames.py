"""Packed DICOM pixels unpacked by imagecodecs, which lets go of Python's lock: a plugin of pydicom's decoders."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import uid

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

LABEL = "imagecodecs"
"""What pydicom calls the plugin."""

JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
CODECS = {
    **dict.fromkeys(JPEG, "jpeg8"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "jpegls"),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "jpeg2k"),
    uid.RLELossless: "dicomrle",
}
DECODER_DEPENDENCIES = dict.fromkeys(CODECS, (LABEL,))
"""Of each transfer syntax, as pydicom asks for it."""

_START, _SIZE, _END = b"\xff\x4f\xff\x51", slice(8, 24), b"\xff\xd9"
"""A JPEG 2000 codestream begins so, and has its size there: ISO 15444-1, A.5.1. A JPEG ends so."""


def is_available(syntax: uid.UID) -> bool:
    """Whether a transfer syntax can be read here; asked by pydicom."""
    return syntax in CODECS and find_spec(LABEL) is not None


@cache
def register() -> None:
    """Make the plugin known to pydicom's decoders."""
    from pydicom.pixels.decoders.base import get_decoder

    for syntax in CODECS:
        get_decoder(syntax).add_plugin(LABEL, (__name__, decode_frame.__name__))


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
    shape, bits = (runner.rows, runner.columns), 8 if runner.bits_stored <= 8 else 16
    decode: Callable[..., Any] = getattr(imagecodecs, f"{CODECS[syntax]}_decode")
    if syntax == uid.RLELossless:
        plain = decode(packed, np.dtype(f"<u{runner.bits_allocated // 8}"))
        return np.asarray(plain, order="C").tobytes()
    if syntax in JPEG and not packed.rstrip(b"\0").endswith(_END):
        raise ValueError("a JPEG must be whole")
    if CODECS[syntax] == "jpeg2k" and _size_of_jpeg2000(packed) != shape:
        raise ValueError("a JPEG 2000 must have the size that the file says")
    signed = CODECS[syntax] == "jpeg2k" and runner.get_option("j2k_is_signed", False)
    # A frame that says another size than the file would otherwise take any memory.
    plain = decode(packed, out=np.empty(shape, f"{'i' if signed else 'u'}{bits // 8}"))
    runner.set_option("bits_allocated", bits)
    return np.asarray(plain, order="C").tobytes()


def _size_of_jpeg2000(packed: bytes) -> tuple[int, int]:
    if not packed.startswith(_START):
        raise ValueError("a JPEG 2000 must be a bare codestream")
    right, below, left, above = np.frombuffer(packed[_SIZE], ">u4").tolist()
    return below - above, right - left
