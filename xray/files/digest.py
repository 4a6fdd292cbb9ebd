"""The SHA-256 of bytes and of files, in hexadecimal: how everything of ours is named by its content."""

import hashlib
from io import BufferedReader
from pathlib import Path


def bytes_sha256(data: bytes | bytearray | memoryview) -> str:
    """Digest bytes."""
    return hashlib.sha256(data).hexdigest()


def stream_sha256(file: BufferedReader) -> str:
    """Digest an open file, from where it stands to its end.

    Raises:
        OSError: It cannot be read.
    """
    return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """Digest a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return stream_sha256(file)
