"""The one place where a scan's file is opened and read: on disk or at a server, at most so many bytes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from xray.data.decoding import decode_limits
from xray.data.decoding.memory_budget import MemoryBudget
from xray.errors import ImageError
from xray.files.s3 import DataPath, S3Path

AT_A_TIME = 2 * decode_limits.MOST_BYTES
"""Bytes of scans' files that the threads of a process hold at a time."""

ITS_OWN = {
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
}
"""Why a file or folder may be unreadable on its own account: it is a reject then. A disk or network that fails would
reject good scans."""

_room = MemoryBudget(AT_A_TIME)


@contextmanager
def refused() -> Iterator[None]:
    """Have what is out of bounds told as an `ImageError`."""
    try:
        yield
    except decode_limits.OutOfBounds as error:
        raise ImageError(error.reason, error.detail) from error


@contextmanager
def opened(path: Path | str) -> Iterator[BufferedReader]:
    """Open a scan's file on disk.

    Raises:
        ImageError: It is no file, or too large (`unreadable`, `too-large`).
        OSError: It cannot be opened.
    """
    with refused(), decode_limits.opened(path) as file:
        yield file


@contextmanager
def content(path: DataPath) -> Iterator[bytes]:
    """Have the bytes of a scan's file for as long as the block lasts.

    Raises:
        ImageError: It is no file, or too large (`unreadable`, `too-large`).
        OSError: It cannot be read, or is not there.
        S3Error: The server fails.
    """
    with _room.lent(0 if isinstance(path, S3Path) else _size(path)):
        with refused():
            data = _object(path) if isinstance(path, S3Path) else decode_limits.read(path)
        yield data


def unreadable_reason(path: Path) -> str:
    """Say in words why a file on disk has no content: `reason: detail`."""
    try:
        with opened(path):
            return "unreadable: the file could not be read"
    except ImageError as error:
        return str(error)
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError
        return f"unreadable: {error.strerror if isinstance(error, OSError) else error}"


def _object(path: S3Path) -> bytes:
    data = path.read_bytes(decode_limits.MOST_BYTES + 1)
    decode_limits.require_size(len(data))
    return data


def _size(path: Path) -> int:
    return min(path.stat().st_size, decode_limits.MOST_BYTES)
