"""The SHA-256 of every file, computed once as long as path, size, inode and times of change stay the same."""

import io
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xray.data.decoding import scan_files
from xray.data.sources.file_listing import printable
from xray.errors import DataError, ImageError, S3Error, StoreError, by_cause
from xray.files.atomic import whole_file
from xray.files.digest import bytes_sha256, stream_sha256
from xray.files.s3 import READERS, DataPath, S3File, S3Path

logger = logging.getLogger(__name__)

SETTLED_NS = 2_000_000_000
"""A file must have been left alone this long to be remembered: a change within one tick of a file system's clock
would leave size and time as they were."""

CHUNK = 16
"""Files that a thread is handed at a time: handing over each would cost more than digesting a small one, and some 3 KB
of memory until the last one is done."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, MemoryError, pa.ArrowException)

SHARED = "digests.parquet"
"""The index's name in a shared folder."""

_KIND, _VERSION, _BEFORE = b"xray", b"3", b"2"
"""Stands in the index's metadata: one without it has no checksums either, or another hand wrote it."""

_COLUMNS = {
    "path": "str",
    "size": "int64",
    "mtime_ns": "int64",
    "ctime_ns": "int64",
    "inode": "int64",
    "sha256": "str",
}
_INODES = 2**63 - 1


class _Entry(NamedTuple):
    """A line of the index, in the order of `_COLUMNS`."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str

    @property
    def state(self) -> tuple[int, ...]:
        """What is as it was as long as the file is: names that were swapped, and times that were set, change it."""
        return self.size, self.mtime_ns, self.ctime_ns, self.inode


def file_digests(
    folder: DataPath, paths: Sequence[str], index: Path, shared: S3Path | None = None, private: bool = False
) -> dict[str, str]:
    """Digest files, reading only those that the index does not know as they are.

    Args:
        folder: The data folder.
        paths: Files, relative to `folder`.
        index: A Parquet file that remembers digests by full path or address, size, times and inode, for many
            folders. It is made where missing and made anew where it cannot be read.
        shared: A folder at a server that remembers, for many homes, the digests of scans at a server.
        private: Log no file's name.

    Returns:
        Path to the SHA-256 of the file's bytes, in hexadecimal, in the order of `paths`. A file that cannot be
        read is left out, and logged.

    Raises:
        DataError: The disk or network fails.
        S3Error: The server fails.
        StoreError: The index could not be written.
    """
    base = _base(folder)
    remembered = before = _read_index(index)
    theirs = shared / SHARED if shared is not None and isinstance(folder, S3Path) else None
    if theirs is not None:
        remembered = _joined(remembered, _fetch_index(theirs))
    known = {entry.path: entry for entry in map(_Entry._make, remembered.itertuples(index=False, name=None))}
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    if isinstance(folder, S3Path):
        digest_all = partial(_digest_objects, folder, _listed(folder, paths), known)
        threads = READERS
    else:
        digest_all = partial(_digest_files, folder.resolve(), known)
        threads = None
    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(chain.from_iterable(pool.map(digest_all, chunks)))
    found = [outcome for outcome in outcomes if isinstance(outcome, _Entry)]
    digests = {path: each.sha256 for path, each in zip(paths, outcomes, strict=True) if isinstance(each, _Entry)}
    for path, each in zip(paths, outcomes, strict=True):
        if not isinstance(each, _Entry):  # told here, for a thread of the pool is no part of a Prefect run
            shown = "a file" if private else f"{base}/{printable(path)}"
            logger.warning("%s cannot be read: %s", shown, each)
    settled = time.time_ns() - SETTLED_NS
    fresh = [entry for entry in found if entry.mtime_ns < settled]
    entries = _joined(_without(remembered, base), pd.DataFrame(fresh, columns=list(_COLUMNS)).astype(_COLUMNS))
    if not entries.equals(before):
        _write_index(entries, index)
    if theirs is not None:
        _share_index(entries[entries["path"].str.startswith(f"{base}/")], theirs)
    logger.info("%d file digests, %d of them from the index", len(digests), _reused(found, known))
    return digests


def forget(folder: DataPath, index: Path, shared: S3Path | None = None) -> None:
    """Forget what is remembered of a folder, some of which was not so: its files are digested again.

    Args:
        folder: The data folder.
        index: See `file_digests`.
        shared: See `file_digests`.

    Raises:
        S3Error: The server fails.
        StoreError: The index could not be written.
    """
    base = _base(folder)
    _write_index(_without(_read_index(index), base), index)
    if shared is not None and isinstance(folder, S3Path):
        (shared / SHARED).write_bytes(_serialized(_without(_fetch_index(shared / SHARED), base)))


def _base(folder: DataPath) -> str:
    """Name a folder as the index does."""
    return printable(str(folder if isinstance(folder, S3Path) else folder.resolve()))


def _without(entries: pd.DataFrame, base: str) -> pd.DataFrame:
    return entries[~entries["path"].str.startswith(f"{base}/")].reset_index(drop=True)


def _digest_files(base: Path, known: dict[str, _Entry], paths: Sequence[str]) -> list[_Entry | str]:
    return [_digest(path, known) for path in (f"{base}/{path}" for path in paths)]


def _digest(path: str, remembered: dict[str, _Entry]) -> _Entry | str:
    """Digest a file, unless it is known as it is; or say why it cannot be read."""
    name = printable(path)
    known = remembered.get(name)
    try:
        with scan_files.opened(path) as file:
            facts = os.fstat(file.fileno())
            state = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino & _INODES)
            if known is not None and known.state == state:
                return known
            sha256 = stream_sha256(file)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in scan_files.ITS_OWN:
            raise by_cause(DataError, f"{name} must be readable. Received: {error.strerror}", error) from error
        return str(error.strerror if isinstance(error, OSError) else error)
    return _Entry(name, *state, sha256)


def _listed(folder: S3Path, paths: Sequence[str]) -> dict[str, S3File]:
    """List the folders that hold some objects, each once: size and time of change of all, by path."""
    folders = {path.partition("/")[0] if "/" in path else "" for path in paths}
    return {
        "/".join(filter(None, (name, file.path))): file
        for name in folders
        for file in (folder / name if name else folder).files()
    }


def _digest_objects(
    folder: S3Path, listed: dict[str, S3File], known: dict[str, _Entry], paths: Sequence[str]
) -> list[_Entry | str]:
    return [_digest_object(folder / path, listed.get(path), known.get(f"{folder}/{path}")) for path in paths]


def _digest_object(address: S3Path, file: S3File | None, known: _Entry | None) -> _Entry | str:
    """Digest an object, unless it is known as the listing shows it; or say why it cannot be read."""
    if file is None:
        return "it does not exist"
    state = (file.size, file.mtime_ns, 0, 0)  # a server changes an object's time with every write
    if known is not None and known.state == state:
        return known
    try:
        with scan_files.content(address) as data:
            sha256 = bytes_sha256(data)
    except (FileNotFoundError, ImageError) as error:
        return str(error.strerror if isinstance(error, OSError) else error)
    return _Entry(str(address), *state, sha256)


def _reused(found: Sequence[_Entry], known: dict[str, _Entry]) -> int:
    return sum(entry is known.get(entry.path) for entry in found)


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([first, second]).drop_duplicates("path").sort_values("path", ignore_index=True)


def _fetch_index(address: S3Path) -> pd.DataFrame:
    """Read the server's index; an empty one where there is none or it is broken, for it only spares reading."""
    try:
        return _table(pa.BufferReader(address.read_bytes()))
    except FileNotFoundError:
        return _nothing()
    except S3Error:
        raise
    except UNREADABLE as error:
        logger.warning("%s cannot be read and is created again: %s", address, error)
        return _nothing()


def _share_index(entries: pd.DataFrame, address: S3Path) -> None:
    """Send what is remembered of scans at servers: an address means the same everywhere, a path does not."""
    there = _fetch_index(address)
    both = _joined(entries[entries["path"].str.startswith("s3://")], there)
    if not both.equals(there):
        address.write_bytes(_serialized(both))


def _read_index(index: Path) -> pd.DataFrame:
    if not index.exists():
        return _nothing()
    try:
        version = (pq.read_schema(index).metadata or {}).get(_KIND)
        if version == _BEFORE:  # without inodes, which tell swapped names
            return _nothing()
        if version != _VERSION:
            raise ValueError("it has no checksums")
        return _table(index)
    except UNREADABLE as error:
        logger.warning("%s cannot be trusted and is created again: %s", index, error)
        return _nothing()


def _write_index(entries: pd.DataFrame, index: Path) -> None:
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(index) as draft:
            draft.write_bytes(_serialized(entries))
    except OSError as error:
        raise by_cause(
            StoreError, f"the index of digests could not be written to {index}: {error.strerror or error}", error
        ) from error


def _nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=list(_COLUMNS)).astype(_COLUMNS)


def _serialized(entries: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(entries, preserve_index=False)
    content = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({**(table.schema.metadata or {}), _KIND: _VERSION}),
        content,
        write_page_checksum=True,
    )
    return content.getvalue()


def _table(source: Path | pa.BufferReader) -> pd.DataFrame:
    table = pq.read_table(source, columns=list(_COLUMNS), page_checksum_verification=True)
    return table.to_pandas().astype(_COLUMNS).drop_duplicates("path")
