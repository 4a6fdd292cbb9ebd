"""Many scans normalized at once, in spawned processes; the outcome's order is that of the scans, not of the workers."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from xray import config
from xray.data.images import Normalized, normalize
from xray.errors import DataError, ImageError, StoreError

CHUNK = 32
"""Scans that a worker is handed at a time."""

SPAWN_FROM = 512
"""Fewest scans that start processes: each costs as much as 900 scans of 224 x 224, or 110 large ones."""

Scan = tuple[str, str]
"""A path relative to the data folder, and the SHA-256 of the file there."""

Outcome = tuple[str, Normalized | ImageError]
"""A scan's SHA-256, and its pixels or why it has none."""


def normalize_all(
    folder: Path, scans: Sequence[Scan], images: config.Images, workers: int | None = None
) -> Generator[list[Outcome], None, None]:
    """Normalize scans in their order, some at a time.

    Args:
        folder: The data folder.
        scans: Which scans.
        images: The size and the fit.
        workers: Processes; all cores of this process when None. Few scans, or one worker, start none.

    Yields:
        Outcomes of up to `CHUNK` scans.

    Raises:
        DataError: A file cannot be read, or is no longer the one that was digested.
        StoreError: A worker was killed.
    """
    chunks = [scans[start : start + CHUNK] for start in range(0, len(scans), CHUNK)]
    workers = min(workers or cores(), len(chunks))
    if workers <= 1 or len(scans) < SPAWN_FROM:
        for chunk in chunks:
            yield _normalize_chunk(folder, chunk, images)
        return
    # Spawned, for a forked child hangs where TensorFlow has started its threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting: deque[Future[list[Outcome]]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_normalize_chunk, folder, chunk, images))
            # Two chunks a worker, so that none waits and few decoded scans lie in memory.
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise StoreError(
            "every decoding process must live until its scans are done. Received: one that ended early "
            "(killed, out of memory, or started by a script without an `if __name__ == '__main__'` guard)"
        ) from error
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


def _start_worker() -> None:
    # Ctrl-C is the parent's to answer, and a killed parent leaves nobody to send work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
