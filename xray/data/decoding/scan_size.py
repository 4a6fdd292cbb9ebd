"""How large a scan may be, whatever its format."""

from xray.data.decoding import decode_limits
from xray.errors import ImageError

MIN_SIDE = 32
"""Fewest pixels on a scan's shorter side: as few as a normalized scan may have."""

MAX_PIXELS = decode_limits.MOST_PIXELS


def check_size(width: int, height: int) -> None:
    """Refuse a scan that is too small or too large, before it is decoded.

    Args:
        width: Columns.
        height: Rows.

    Raises:
        ImageError: `too-small` or `too-large`.
    """
    if min(width, height) < MIN_SIDE:
        raise ImageError("too-small", f"each side must be at least {MIN_SIDE} pixels. Received: {width} x {height}")
    if max(width, height) > decode_limits.MOST_SIDE:
        raise ImageError(
            "too-large", f"each side must have at most {decode_limits.MOST_SIDE:,} pixels. Received: {width} x {height}"
        )
    if width * height > MAX_PIXELS:
        raise ImageError("too-large", f"a scan must have at most {MAX_PIXELS:,} pixels. Received: {width} x {height}")
