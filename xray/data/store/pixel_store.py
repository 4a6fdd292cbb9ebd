"""The pixel store on disk: immutable Parquet shards, listed in a manifest that is written last.

A shard's columns are `sha256` (of the scan's file), `pixels` (height * width bytes, row by row), `width`, `height` (of
the upright original), `pixels_sha256` and `scaling`; size, dtype and normalizer stand in the schema's metadata.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xray.config import digest_of
from xray.data.store.parquet_mmap import Pixels, mapped_values
from xray.errors import StoreError, by_cause

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
SEAL = "digest"
"""In a manifest: the digest of all else in it. Earlier versions wrote none."""

FACTS = ["sha256", "width", "height", "pixels_sha256", "scaling"]
SCHEMA = pa.schema(
    [
        ("sha256", pa.string()),
        ("pixels", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("pixels_sha256", pa.string()),
        ("scaling", pa.string()),
    ]
)


@dataclass(frozen=True)
class Shard:
    """A line of the manifest: a file, the SHA-256 and number of its bytes, and its rows."""

    name: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Reject:
    """A scan that is none, remembered so that it is not decoded again."""

    sha256: str
    reason: str
    detail: str


@dataclass(frozen=True)
class RowGroup:
    """Scans that are read together.

    Attributes:
        shard: The Parquet file.
        group: The row group's place in it.
        rows: How many of its scans are wanted.
    """

    shard: Path
    group: int
    rows: int


@dataclass(frozen=True)
class PixelStore:
    """Normalized scans by the digest of their files.

    Attributes:
        folder: Holds the shards and the manifest.
        digest: Names the normalizer that made the pixels.
        height: Rows of every scan.
        width: Columns of every scan.
        shards: In order of their names.
        rejected: In order of their digests.
    """

    folder: Path
    digest: str
    height: int
    width: int
    shards: tuple[Shard, ...]
    rejected: tuple[Reject, ...]

    @classmethod
    def open(cls, folder: Path) -> "PixelStore":
        """Open a store that `fill_pixel_store.fill` made.

        The shards' sizes are compared with the manifest, their digests are not: filling compares those every time,
        which reads all bytes.

        Raises:
            StoreError: No manifest, a broken one, or a shard that is missing or of another size.
        """
        store = cls.read_manifest(folder)
        for shard in store.shards:
            path = folder / shard.name
            if not path.is_file() or path.stat().st_size != shard.bytes:
                raise StoreError(f"{path} must have {shard.bytes} bytes; prepare the data again to rebuild it")
        return store

    @classmethod
    def read_manifest(cls, folder: Path) -> "PixelStore":
        """Read what a store should hold, without a look at its shards.

        Raises:
            StoreError: No manifest, or a broken one.
        """
        try:
            return cls.parse(folder, (folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise StoreError(f"a pixel store must have a {MANIFEST}. Received: {folder}") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{folder / MANIFEST} must be a pixel store's manifest. Received: {error}") from error

    @classmethod
    def parse(cls, folder: Path, manifest: bytes) -> "PixelStore":
        """Read a manifest's text.

        Raises:
            ValueError, TypeError, KeyError: It is none.
        """
        content = json.loads(manifest.decode("utf-8"))
        sealed = content.pop(SEAL, None)
        if sealed is not None and sealed != digest_of(content):
            raise ValueError("its list of shards has changed since it was written")
        return cls(
            folder=folder,
            digest=content["normalizer"],
            height=content["height"],
            width=content["width"],
            shards=tuple(Shard(**shard) for shard in content["shards"]),
            rejected=tuple(Reject(**reject) for reject in content["rejects"]),
        )

    def manifest(self) -> str:
        """Give the manifest's text."""
        content = {
            "normalizer": self.digest,
            "height": self.height,
            "width": self.width,
            "shards": [asdict(shard) for shard in self.shards],
            "rejects": [asdict(reject) for reject in self.rejected],
        }
        return json.dumps({**content, SEAL: digest_of(content)}, indent=1) + "\n"

    @property
    def facts(self) -> "pd.DataFrame":
        """Every scan's `sha256, width, height, pixels_sha256, scaling`, in order of sha256."""
        tables = [SCHEMA.empty_table().select(FACTS)]
        for shard in self.shards:
            with _parquet(self.folder / shard.name) as file:
                tables.append(file.read(columns=FACTS).replace_schema_metadata(None))
        return pa.concat_tables(tables).sort_by("sha256").to_pandas()

    @property
    def rejects(self) -> "pd.DataFrame":
        """Every scan that is none: `sha256, reason, detail`, in order of sha256."""
        schema = pa.schema([(name, pa.string()) for name in ("sha256", "reason", "detail")])
        return pa.Table.from_pylist([asdict(reject) for reject in self.rejected], schema=schema).to_pandas()

    def holds(self) -> set[str]:
        """Give the digests of all scans that need no decoding: those stored and those rejected."""
        return set(self._place) | {reject.sha256 for reject in self.rejected}

    def read(self, sha256s: Sequence[str]) -> NDArray[np.uint8]:
        """Read scans into memory, in threads.

        Args:
            sha256s: n digests, in any order, repeated or not.

        Returns:
            uint8 (n, height, width), 0 to 255, in the order asked for.

        Raises:
            StoreError: A digest that the store does not hold, or a shard that cannot be read.
        """
        wanted = self._wanted(sha256s)
        pixels = np.empty((len(sha256s), self.height, self.width), np.uint8)

        def copy(group: RowGroup) -> None:
            with _parquet(group.shard) as file:
                rows = self._pixels(group, file)
            for at, row in wanted[group]:
                pixels[at] = rows[row]

        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
            list(threads.map(copy, wanted))
        return pixels

    def view(self, sha256s: Sequence[str]) -> Pixels:
        """Have scans at hand without reading them yet, where the shards allow it; else they are read.

        Args:
            sha256s: n digests, in any order, repeated or not.

        Raises:
            StoreError: A digest that the store does not hold, or a shard that cannot be read.
        """
        places, groups = np.empty((len(sha256s), 2), np.int64), []
        for number, (group, rows) in enumerate(self._wanted(sha256s).items()):
            with _parquet(group.shard) as file:
                mapped = self._mapped(group, file)
            if mapped is None:
                each = np.arange(len(sha256s))
                return Pixels((self.read(sha256s),), np.stack([np.zeros_like(each), each], axis=1))
            groups.append(mapped)
            for at, row in rows:
                places[at] = number, row
        return Pixels(tuple(groups), places)

    def row_groups(self, wanted: set[str] | None = None) -> list[RowGroup]:
        """List what to stream, in a settled order.

        Args:
            wanted: Digests; row groups with none of them are left out. None wants all.
        """
        rows: dict[tuple[Path, int], int] = {}
        for digest, (shard, group, _) in self._place.items():
            if wanted is None or digest in wanted:
                rows[shard, group] = rows.get((shard, group), 0) + 1
        return [RowGroup(shard, group, count) for (shard, group), count in rows.items()]

    def read_row_group(self, group: RowGroup) -> tuple[list[str], NDArray[np.uint8]]:
        """Read one row group whole, wanted or not.

        Returns:
            n digests, and uint8 (n, height, width), 0 to 255, read-only.

        Raises:
            StoreError: The shard cannot be read or is not what it should be.
        """
        with _parquet(group.shard) as file:
            digests = file.read_row_group(group.group, columns=["sha256"]).column(0).to_pylist()
            return digests, self._pixels(group, file)

    def _wanted(self, sha256s: Sequence[str]) -> dict[RowGroup, list[tuple[int, int]]]:
        """Where scans lie: from each row group to their numbers in `sha256s` and their rows."""
        wanted: dict[RowGroup, list[tuple[int, int]]] = {}
        for at, digest in enumerate(sha256s):
            if digest not in self._place:
                raise StoreError(f"{self.folder} must contain every scan that is read. Received: sha256 {digest}")
            shard, group, row = self._place[digest]
            wanted.setdefault(RowGroup(shard, group, 0), []).append((at, row))
        return wanted

    def _pixels(self, group: RowGroup, file: pq.ParquetFile) -> NDArray[np.uint8]:
        mapped = self._mapped(group, file)
        return self._decoded(group, file) if mapped is None else mapped

    def _mapped(self, group: RowGroup, file: pq.ParquetFile) -> NDArray[np.uint8] | None:
        values = mapped_values(group.shard, file, group.group, "pixels", self.height * self.width)
        return None if values is None else values.reshape(-1, self.height, self.width)

    def _decoded(self, group: RowGroup, file: pq.ParquetFile) -> NDArray[np.uint8]:
        """Have Arrow decode what does not lie in one piece, as another program may write it."""
        table = file.read_row_group(group.group, columns=["pixels"])
        column = pa.concat_arrays(table.column("pixels").chunks)
        _, offsets, values = column.buffers()
        ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
        if (np.diff(ends) != self.height * self.width).any():
            raise StoreError(
                f"{group.shard} must hold {self.height} x {self.width} pixels a scan; prepare the data again"
            )
        return np.frombuffer(values, np.uint8)[ends[0] : ends[-1]].reshape(-1, self.height, self.width)

    @cached_property
    def _place(self) -> dict[str, tuple[Path, int, int]]:
        """Where each scan lies: shard, row group, row."""
        place: dict[str, tuple[Path, int, int]] = {}
        for shard in self.shards:
            path = self.folder / shard.name
            with _parquet(path) as file:
                for group in range(file.num_row_groups):
                    column = file.read_row_group(group, columns=["sha256"]).column(0)
                    place.update({digest: (path, group, row) for row, digest in enumerate(column.to_pylist())})
        return place


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        words = f"{path} must be an undamaged shard; prepare the data again. Received: {error}"
        raise by_cause(StoreError, words, error) from error
