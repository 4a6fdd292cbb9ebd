"""Fill the pixel store: each scan is decoded once for each normalizer, whatever the split, seed or label.

Scans are taken in order of their digests, which mixes the classes, and cut into shards of `SHARD_ROWS`. A shard is
named by the scans in it, so the same folder gives the same bytes, whoever decodes them. The manifest follows
each shard: a filling that was killed goes on from there, and readers never see half a shard.
"""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xray import config
from xray.data.decoding.image_decoder import Normalized, normalizer_digest
from xray.data.decoding.parallel_decode import Outcome, normalize_all
from xray.data.store.pixel_store import MANIFEST, SCHEMA, PixelStore, Reject, RowGroup, Shard
from xray.data.store.s3_mirror import Mirror
from xray.errors import ImageError, StoreError
from xray.executors import OpenCluster
from xray.files.atomic import draft_of, sync, whole_file
from xray.files.checked_io import writing
from xray.files.digest import file_sha256
from xray.files.lock import locked
from xray.files.s3 import DataPath, S3Path
from xray.progress import Progress

__all__ = ["Filled", "PixelStore", "RowGroup", "fill"]

log = logging.getLogger(__name__)

ROW_GROUP_ROWS = 128
ROW_GROUP_BYTES = 16 * 2**20
"""A row group has as many scans as fit in both: 128 at 300 x 300."""

SHARD_ROWS = 1024


@dataclass(frozen=True)
class Filled:
    """What filling did.

    Attributes:
        store: Holds every scan given, as pixels or as a reject.
        decoded: Scans that were decoded now; files with the same bytes count once.
        reused: Scans that needed no decoding.
        rebuilt_shards: Shards that were missing or not what the manifest said.
    """

    store: PixelStore
    decoded: int
    reused: int
    rebuilt_shards: int


def fill(
    folder: DataPath,
    scans: Mapping[str, str],
    images: config.Images,
    root: Path,
    workers: int | OpenCluster | None = None,
    progress: Progress | None = None,
    shared: S3Path | None = None,
) -> Filled:
    """Bring every scan into the store of this normalizer, decoding only those that missing scans.

    Every shard's digest is compared with the manifest, each time. A shard that is missing or differs is dropped and its
    scans decoded again, as far as they are among those given; the others return when a folder brings them.
    One process fills a store at a time; a second one waits, and then finds the work done.

    Args:
        folder: The data folder.
        scans: From path, relative to `folder`, to the SHA-256 of the file there.
        images: The size and the fit.
        root: Holds one store a normalizer.
        workers: Threads that decode, all cores when None; or a cluster, opened only where scans are missing.
        progress: Called after every few scans.
        shared: Holds the same stores at a server, for many homes: what is there is fetched before anything is decoded,
            and each shard is sent there once it is finished.

    Raises:
        DataError: A file cannot be read, changed after it was digested, or ended every worker that decoded it.
        S3Error: A server cannot be reached or refuses (what the home held before and what was finished, it holds).
        StoreError: The store cannot be written (what it held before, it holds still).
    """
    place = root / normalizer_digest(images)
    mirror = None if shared is None else Mirror(shared / place.name)
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        with locked(place / ".lock", waiting=lambda: _tell_waiting(place)):
            whole, rebuilt = _whole_part(place, images)
            store = whole if mirror is None else mirror.fetch(whole)
            _sweep(store)
            path_of = {digest: path for path, digest in sorted(scans.items(), reverse=True)}
            held = store.holds()
            missing = [(path_of[digest], digest) for digest in sorted(path_of) if digest not in held]
            if missing or rebuilt or store != whole or not (place / MANIFEST).is_file():
                with closing(normalize_all(folder, missing, images, workers)) as outcomes:
                    store = _add(store, _told(outcomes, len(missing), progress), mirror)
            if mirror is not None:
                mirror.push(store)
    log.info("pixel store %s: %d decoded, %d reused", store.digest, len(missing), len(path_of) - len(missing))
    return Filled(store, len(missing), len(path_of) - len(missing), rebuilt)


def _whole_part(place: Path, images: config.Images) -> tuple[PixelStore, int]:
    """Read the manifest and keep the shards that are what it says; count the others."""
    digest = normalizer_digest(images)
    try:
        store = PixelStore.read_manifest(place)
    except StoreError as error:
        if (place / MANIFEST).exists():
            log.warning("all scans are decoded again: %s", error)
        return PixelStore(place, digest, images.height, images.width, (), ()), 0
    if store.digest != digest:
        raise StoreError(f"{place} must hold what normalizer {digest} made. Received: {store.digest}")
    with ThreadPoolExecutor() as threads:
        whole = list(threads.map(lambda shard: _is_whole(place / shard.name, shard), store.shards))
    kept = tuple(shard for shard, good in zip(store.shards, whole, strict=True) if good)
    for shard in set(store.shards) - set(kept):
        log.warning("%s is missing or has changed; its %d scans are decoded again", place / shard.name, shard.rows)
    return replace(store, shards=kept), len(store.shards) - len(kept)


def _is_whole(path: Path, shard: Shard) -> bool:
    return path.is_file() and path.stat().st_size == shard.bytes and file_sha256(path) == shard.sha256


def _sweep(store: PixelStore) -> None:
    """Remove what a killed filling left, and shards that the manifest does not know or that are broken."""
    known = {shard.name for shard in store.shards}
    for path in [*store.folder.glob("*.tmp-*"), *store.folder.glob("shard-*.parquet")]:
        if path.name not in known:
            path.unlink()


def _told(outcomes: Iterator[list[Outcome]], total: int, progress: Progress | None) -> Iterator[Outcome]:
    done = 0
    for chunk in outcomes:
        yield from chunk
        done += len(chunk)
        if progress is not None:
            progress(done, total)


def _add(store: PixelStore, outcomes: Iterator[Outcome], mirror: Mirror | None) -> PixelStore:
    """Write outcomes, in their order, as full shards and a last one; the manifest after each, and then the server's."""
    rejects: list[Reject] = []
    scans = _usable(outcomes, rejects)
    while shard := _write_shard(store, islice(scans, SHARD_ROWS)):
        store = _list_in_manifest(store, [shard], rejects)
        if mirror is not None:
            mirror.push(store)
    return _list_in_manifest(store, [], rejects)


def _usable(outcomes: Iterator[Outcome], rejects: list[Reject]) -> Iterator[tuple[str, Normalized]]:
    for digest, outcome in outcomes:
        if isinstance(outcome, ImageError):
            rejects.append(Reject(digest, outcome.reason, outcome.detail))
        else:
            yield digest, outcome


def _write_shard(store: PixelStore, scans: Iterator[tuple[str, Normalized]]) -> Shard | None:
    group_rows = max(1, min(ROW_GROUP_ROWS, ROW_GROUP_BYTES // (store.height * store.width)))
    about = {"normalizer": store.digest, "height": str(store.height), "width": str(store.width), "dtype": "uint8"}
    digests: list[str] = []
    temporary = draft_of(store.folder / "shard.parquet")  # its own name follows from what it holds
    try:
        # Uncompressed, for reading speed: docs/decisions/0002-pixel-encoding.md has the measurement.
        with pq.ParquetWriter(
            temporary,
            SCHEMA.with_metadata(about),
            compression="NONE",
            use_dictionary=["scaling"],
            write_statistics=["sha256", "width", "height"],
        ) as writer:
            while group := list(islice(scans, group_rows)):
                writer.write_table(_table(group))
                digests += [digest for digest, _ in group]
        if not digests:
            return None
        name = f"shard-{config.digest_of(digests)}.parquet"
        shard = Shard(name, file_sha256(temporary), temporary.stat().st_size, len(digests))
        sync(temporary)
        temporary.replace(store.folder / name)
        return shard
    finally:
        temporary.unlink(missing_ok=True)


def _list_in_manifest(store: PixelStore, shards: list[Shard], rejects: list[Reject]) -> PixelStore:
    store = replace(
        store,
        shards=tuple(sorted([*store.shards, *shards], key=lambda shard: shard.name)),
        rejected=tuple(sorted({*store.rejected, *rejects}, key=lambda reject: reject.sha256)),
    )
    with whole_file(store.folder / MANIFEST) as draft:  # brings the names of the shards to the disk, too
        draft.write_text(store.manifest(), encoding="utf-8")
    return store


def _table(rows: list[tuple[str, Normalized]]) -> pa.Table:
    scans = [scan for _, scan in rows]
    columns = [
        pa.array([digest for digest, _ in rows], pa.string()),
        _binary(np.stack([scan.pixels for scan in scans])),
        pa.array([scan.width for scan in scans], pa.int32()),
        pa.array([scan.height for scan in scans], pa.int32()),
        pa.array([scan.pixels_sha256 for scan in scans], pa.string()),
        pa.array([scan.scaling for scan in scans], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _binary(pixels: NDArray[np.uint8]) -> pa.Array:
    """Make a binary column of uint8 (n, height, width), a value a scan, without a copy."""
    ends = np.arange(len(pixels) + 1, dtype=np.int32) * np.int32(pixels[0].size)
    return pa.Array.from_buffers(pa.binary(), len(pixels), [None, pa.py_buffer(ends), pa.py_buffer(pixels)])


def _tell_waiting(place: Path) -> None:
    log.info("another process is filling %s; waiting for it", place)
