"""Scans that a user names one by one; `-` is standard input."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from xray.data.decoding import decode_limits, scan_files
from xray.data.sources.file_listing import visible
from xray.errors import ImageError, XrayError

STANDARD_INPUT = Path("-")


@contextmanager
def input_files(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Have the files that were named for as long as the block lasts, standard input as a file of its own.

    What is there and is no scan is the model's to answer on, beside the others; nothing is left to answer on where
    there is no other.

    Raises:
        XrayError: A file cannot be read, none can be a scan, or standard input is named and brings nothing.
    """
    with tempfile.TemporaryDirectory(prefix="xray-given-") as scratch:
        paths = list(files)
        if STANDARD_INPUT in paths:
            brought = Path(scratch) / "standard-input"
            brought.write_bytes(_standard_input())
            paths = [brought if path == STANDARD_INPUT else path for path in paths]
        faults = [_fault(path) for path in paths]
        if all(faults):
            raise XrayError(f"each file must be a scan. Received: {files[0]} ({faults[0]})")
        yield paths


def contents(files: Sequence[Path]) -> list[bytes]:
    """Read the files that were named.

    Raises:
        XrayError: One cannot be read, is no file or is too large, or standard input brings nothing.
    """
    return [_standard_input() if path == STANDARD_INPUT else _content(path) for path in files]


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise XrayError("standard input must contain a scan, as in xray predict - < FILE. Received: a terminal")
    data = sys.stdin.buffer.read(decode_limits.MOST_BYTES + 1)
    try:
        decode_limits.require_size(len(data))
    except decode_limits.OutOfBounds as error:
        raise XrayError(f"each file must be a scan. Received: standard input ({error})") from error
    if not data:
        raise XrayError("standard input must contain a scan. Received: nothing")
    return data


def _fault(path: Path) -> str | None:
    """Say why a file can be no scan, in words; None where it may be one."""
    try:
        with scan_files.opened(path):
            return None
    except ImageError as error:
        return visible(str(error))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _content(path: Path) -> bytes:
    try:
        with scan_files.content(path) as data:
            return data
    except ImageError as error:
        raise XrayError(f"each file must be a scan. Received: {path} ({error})") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> XrayError:
    reason = error.strerror if isinstance(error, OSError) else error
    return XrayError(f"each file must be readable. Received: {path} ({reason})")
