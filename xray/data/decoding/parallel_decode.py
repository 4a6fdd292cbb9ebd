"""Many scans normalized at once, in threads or on a cluster; the outcome's order is that of the scans."""

import os
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from functools import partial

from xray import config
from xray.data.decoding import scan_files
from xray.data.decoding.dicom_decoder import is_dicom, require_pydicom
from xray.data.decoding.image_decoder import Normalized, normalize
from xray.errors import ChangedError, DataError, ImageError, by_cause
from xray.executors import OpenCluster, OrderedMap, Threads
from xray.files.digest import bytes_sha256
from xray.files.s3 import READERS, DataPath, S3Path

CHUNK = 8
"""Scans that a thread is handed at a time."""

MOST_AFAR = 32
BYTES_AFAR = 2 * 2**20
"""A cluster's worker is handed as many scans at a time as fit in both, but one at least: a call costs it milliseconds,
and outcomes that are under way lie in memory."""

Scan = tuple[str, str]
"""A path relative to the data folder, and the SHA-256 of the file there."""

Outcome = tuple[str, Normalized | ImageError]
"""A scan's SHA-256, and its pixels or why it has none."""


def normalize_all(
    folder: DataPath,
    scans: Sequence[Scan],
    images: config.Images,
    workers: int | OpenCluster | None = None,
) -> Generator[list[Outcome], None, None]:
    """Normalize scans in their order, some at a time.

    Reading, digesting, decoding and resizing all let go of Python's lock, so threads keep the cores busy, and start at
    once: docs/decisions/0008-reduced-decoding.md compares them with processes.

    Args:
        folder: The data folder.
        scans: Which scans.
        images: The size and the fit.
        workers: Threads; one for each core of this process when None, and some more where a server is read from. Or a
            cluster, whose workers find `folder` under the same path or address; no scans do not open it.

    Yields:
        Outcomes of up to `CHUNK` scans; on a cluster, of up to `MOST_AFAR`.

    Raises:
        DataError: A file cannot be read, is no longer the one that was digested, or ended every worker that decoded it.
        S3Error: The server fails.
    """
    if not scans:
        return
    size = max(1, min(MOST_AFAR, BYTES_AFAR // (images.height * images.width))) if callable(workers) else CHUNK
    chunks = [scans[start : start + size] for start in range(0, len(scans), size)]
    work = partial(_normalize_chunk, folder if isinstance(folder, S3Path) else folder.absolute(), images)
    with (
        workers(len(chunks)) if callable(workers) else Threads(workers or _threads(folder)) as pool,
        closing(OrderedMap(pool, work, chunks)) as promises,
    ):
        for chunk, promise in promises:
            try:
                outcomes = promise.result()
            except BrokenExecutor:
                outcomes = _one_by_one(promises, chunk)
            yield outcomes


def _one_by_one(promises: OrderedMap[Sequence[Scan], list[Outcome]], chunk: Sequence[Scan]) -> list[Outcome]:
    """Find the scan of a chunk that ends its workers; there is none where the chunk only lay beside another's."""
    outcomes = []
    for scan in chunk:
        try:
            outcomes += promises.isolated([scan])
        except BrokenExecutor as error:
            raise DataError(f"a scan must not crash its decoding worker. Received: {scan[0]}: {error}") from error
    return outcomes


def _normalize_chunk(folder: DataPath, images: config.Images, scans: Sequence[Scan]) -> list[Outcome]:
    return [(digest, _normalize_file(folder / path, digest, images)) for path, digest in scans]


def _normalize_file(path: DataPath, digest: str, images: config.Images) -> Normalized | ImageError:
    try:
        with scan_files.content(path) as data:
            if is_dicom(data):
                require_pydicom()  # a scan that only an extra could read is no reject
            if bytes_sha256(data) == digest:
                return _normalize(data, images)
    except OSError as error:
        raise by_cause(DataError, f"every scan must be readable. Received: {path}: {error.strerror}", error) from error
    except ImageError:  # a pipe, or a larger file, where a scan was digested
        pass
    raise ChangedError(f"scans must not change during preparation; prepare them again. Received: {path}")


def _normalize(data: bytes, images: config.Images) -> Normalized | ImageError:
    try:
        return normalize(data, images)
    except ImageError as error:
        return error


def _threads(folder: DataPath) -> int:
    return max(READERS, cores()) if isinstance(folder, S3Path) else cores()


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
