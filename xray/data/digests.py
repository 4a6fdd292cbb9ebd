"""The SHA-256 of every file, computed once as long as path, size and time of change stay the same."""

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from xray.errors import DataError, StoreError

logger = logging.getLogger(__name__)

SETTLED_NS = 2_000_000_000
"""A file must have been left alone this long to be remembered: a change within one tick of a file system's clock
would leave size and time as they were."""

CHUNK = 16
"""Files that a thread is handed at a time: handing over each would cost more than digesting a small one, and some 3 KB
of memory until the last one is done."""

# A file that cannot be read for a reason of its own is a reject; a disk or network that fails would reject good scans.
_THE_FILES_OWN = {
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
}
_COLUMNS = {"path": "str", "size": "int64", "mtime_ns": "int64", "sha256": "str"}


class _Entry(NamedTuple):
    """A line of the index, in the order of `_COLUMNS`."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


def file_digests(folder: Path, paths: Sequence[str], index: Path) -> dict[str, str]:
    """Digest files, reading only those that the index does not know as they are.

    Args:
        folder: The data folder.
        paths: Files, relative to `folder`.
        index: A Parquet file that remembers digests by full path, size and time of change, for many folders. It is
            made where missing and made anew where it cannot be read.

    Returns:
        Path to the SHA-256 of the file's bytes, in hexadecimal, in the order of `paths`. A file that cannot be
        read is left out, and logged.

    Raises:
        StoreError: The index could not be written.
    """
    base = str(folder.resolve())
    remembered = _read_index(index)
    known = {entry.path: entry for entry in map(_Entry._make, remembered.itertuples(index=False, name=None))}
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    with ThreadPoolExecutor() as pool:
        found = list(chain.from_iterable(pool.map(lambda chunk: _digest_all(base, chunk, known), chunks)))
    digests = {path: entry.sha256 for path, entry in zip(paths, found, strict=True) if entry is not None}
    settled = time.time_ns() - SETTLED_NS
    fresh = [entry for entry in found if entry is not None and entry.mtime_ns < settled]
    others = remembered[~remembered["path"].str.startswith(f"{base}/")]
    entries = pd.concat([others, pd.DataFrame(fresh, columns=list(_COLUMNS)).astype(_COLUMNS)])
    entries = entries.drop_duplicates("path").sort_values("path", ignore_index=True)
    if not entries.equals(remembered):
        _write_index(entries, index)
    logger.info("%d digests, %d of them from the index", len(digests), _reused(found, known))
    return digests


def _digest_all(base: str, paths: Sequence[str], known: dict[str, _Entry]) -> list[_Entry | None]:
    return [_digest(path, known.get(path)) for path in (f"{base}/{path}" for path in paths)]


def _digest(path: str, known: _Entry | None) -> _Entry | None:
    try:
        with open(path, "rb") as file:
            facts = os.fstat(file.fileno())
            if known is not None and (known.size, known.mtime_ns) == (facts.st_size, facts.st_mtime_ns):
                return known
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _THE_FILES_OWN:
            raise DataError(f"{path} must be readable. Received: {error.strerror}") from error
        logger.warning("%s cannot be read: %s", ascii(path), error)
        return None
    return _Entry(path, facts.st_size, facts.st_mtime_ns, sha256)


def _reused(found: Sequence[_Entry | None], known: dict[str, _Entry]) -> int:
    return sum(entry is not None and entry is known.get(entry.path) for entry in found)


def _read_index(index: Path) -> pd.DataFrame:
    empty = pd.DataFrame(columns=list(_COLUMNS)).astype(_COLUMNS)
    if not index.exists():
        return empty
    try:
        return pd.read_parquet(index, columns=list(_COLUMNS)).astype(_COLUMNS).drop_duplicates("path")
    except (OSError, ValueError, KeyError) as error:
        logger.warning("%s cannot be read and is made anew: %s", index, error)
        return empty


def _write_index(entries: pd.DataFrame, index: Path) -> None:
    unfinished = index.with_name(f"{index.name}.tmp-{os.getpid()}")
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        entries.to_parquet(unfinished, index=False)
        os.replace(unfinished, index)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise StoreError(f"the digest index could not be written to {index}: {error.strerror or error}") from error
