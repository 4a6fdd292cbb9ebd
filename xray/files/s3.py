"""Folders and objects at an S3 server, by the few verbs of `pathlib.Path` that scans and shards need.

An address names a bucket and a folder, never a server or a secret: those come from the environment, as docs/s3.md says.
Nothing of S3 is loaded before the first request.
"""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xray.errors import ConfigError

if TYPE_CHECKING:
    from pyarrow import Buffer
    from pyarrow.fs import S3FileSystem

READERS = 16
"""Threads that read at a time, on however few cores: each waits for the server most of its time."""

CHUNK_BYTES = 16 * 2**20

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


@dataclass(frozen=True)
class S3File:
    """An object as a listing tells of it.

    Attributes:
        path: Relative to the folder that was listed.
        size: In bytes.
        mtime_ns: When it was written, in nanoseconds since 1970; servers say whole seconds or milliseconds.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class S3Path:
    """An address at an S3 server. Small and picklable, for it may travel to another machine.

    Every verb that asks the server raises an `S3Error` where it cannot be reached, has no such bucket or refuses.

    Attributes:
        bucket: The bucket's name.
        key: What follows it, without slashes at either end; empty for the bucket itself.
    """

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, address: str) -> "S3Path":
        """Read `s3://BUCKET/FOLDER`.

        Raises:
            ConfigError: It is none, or bears credentials; it is not repeated then, for it may hold a secret.
        """
        bucket, _, key = address.partition("://")[2].partition("/")
        key = key.strip("/")
        if "@" in address or ":" in bucket or "?" in address:
            raise ConfigError(
                "an s3:// address must not contain credentials, which come from the environment: docs/s3.md. "
                "Received: one with @, : or ?, not repeated here"
            )
        if not _BUCKET.fullmatch(bucket) or (key and {"", ".", ".."} & set(key.split("/"))):
            raise ConfigError(f"an S3 address must be s3://BUCKET/FOLDER. Received: {address}")
        return cls(bucket, key)

    def __truediv__(self, part: str) -> "S3Path":
        return S3Path(self.bucket, "/".join(filter(None, (self.key, part.strip("/")))))

    def __str__(self) -> str:
        return f"s3://{self._place}"

    @property
    def name(self) -> str:
        """The last part, as of a folder on disk."""
        return self._place.rpartition("/")[2]

    @property
    def parent(self) -> "S3Path":
        """The folder it lies in; the bucket's own is the bucket."""
        return S3Path(self.bucket, self.key.rpartition("/")[0])

    def is_dir(self) -> bool:
        """Say whether any object lies below it."""
        from pyarrow.fs import FileType

        with self._server() as server:
            return server.get_file_info(self._place).type == FileType.Directory

    def exists(self) -> bool:
        """Say whether it is an object or a folder of some."""
        from pyarrow.fs import FileType

        with self._server() as server:
            return server.get_file_info(self._place).type != FileType.NotFound

    def files(self) -> list[S3File]:
        """List all objects below, in one listing, a request for a thousand; none where there is no such folder."""
        from pyarrow.fs import FileSelector, FileType

        with self._server() as server:
            found = server.get_file_info(FileSelector(self._place, recursive=True, allow_not_found=True))
        start = len(self._place) + 1
        return [S3File(each.path[start:], each.size, each.mtime_ns) for each in found if each.type == FileType.File]

    def read_bytes(self, most: int | None = None) -> bytes:
        """Read an object whole, or its first bytes where it has more than `most`.

        Raises:
            FileNotFoundError: There is no such object.
        """
        with self._server() as server, server.open_input_file(self._place) as file:
            return file.read(most)

    def write_bytes(self, data: "bytes | Buffer") -> None:
        """Write an object, which appears whole or not at all."""
        with self._server() as server, server.open_output_stream(self._place) as stream:
            stream.write(data)

    def upload(self, file: Path) -> None:
        """Write a file's content as an object, which appears whole or not at all."""
        import pyarrow as pa

        with pa.memory_map(str(file)) as source:
            content = source.read_buffer()
        self.write_bytes(content)

    def download(self, file: Path) -> None:
        """Write an object's content into a file, some megabytes at a time.

        Raises:
            FileNotFoundError: There is no such object.
        """
        with file.open("wb") as sink, self._server() as server, server.open_input_stream(self._place) as source:
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)

    def _server(self) -> "AbstractContextManager[S3FileSystem]":
        from xray.files import s3_server

        return s3_server.asked(str(self))

    @property
    def _place(self) -> str:
        return f"{self.bucket}/{self.key}" if self.key else self.bucket


DataPath = Path | S3Path
"""A folder of scans, or a file in one: on disk or at a server."""


def data_path(address: Path | S3Path | str) -> DataPath:
    """Name a folder in one way only: absolute on disk, or an address at a server.

    Raises:
        ConfigError: An address of another kind, or an s3:// address that is none or bears credentials.
    """
    if isinstance(address, S3Path):
        return address
    scheme = _SCHEME.match(str(address))
    if scheme is None:
        return Path(address).resolve()
    if scheme[1].lower() != "s3":
        raise ConfigError(f"scans must be in a folder or at s3://. Received: an address with {scheme[1].lower()}://")
    return S3Path.parse(str(address))
