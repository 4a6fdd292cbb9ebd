"""Many scans normalized at once, in threads; the outcome's order is that of the scans, not of the threads."""

import hashlib
import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from xray import config
from xray.data.images import Normalized, normalize
from xray.errors import DataError, ImageError

CHUNK = 8
"""Scans that a thread is handed at a time."""

Scan = tuple[str, str]
"""A path relative to the data folder, and the SHA-256 of the file there."""

Outcome = tuple[str, Normalized | ImageError]
"""A scan's SHA-256, and its pixels or why it has none."""


def normalize_all(
    folder: Path, scans: Sequence[Scan], images: config.Images, workers: int | None = None
) -> Generator[list[Outcome], None, None]:
    """Normalize scans in their order, some at a time.

    Reading, digesting, decoding and resizing all let go of Python's lock, so threads keep the cores busy, and start at
    once: docs/decisions/0008-reduced-decoding.md compares them with processes.

    Args:
        folder: The data folder.
        scans: Which scans.
        images: The size and the fit.
        workers: Threads; one for each core of this process when None.

    Yields:
        Outcomes of up to `CHUNK` scans.

    Raises:
        DataError: A file cannot be read, or is no longer the one that was digested.
    """
    workers = workers or cores()
    waiting: deque[Future[list[Outcome]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, len(scans), CHUNK):
            waiting.append(pool.submit(_normalize_chunk, folder, scans[start : start + CHUNK], images))
            # Some chunks a thread, so that none waits while a shard is written, and few decoded scans lie in memory.
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _normalize_chunk(folder: Path, scans: Sequence[Scan], images: config.Images) -> list[Outcome]:
    return [(digest, _normalize_file(folder / path, digest, images)) for path, digest in scans]


def _normalize_file(path: Path, digest: str, images: config.Images) -> Normalized | ImageError:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"every scan must be readable. Received: {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise DataError(f"scans must not change while they are prepared; prepare them again. Received: {path}")
    try:
        return normalize(data, images)
    except ImageError as error:
        return error


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
