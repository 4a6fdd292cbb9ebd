"""Pixels where they lie in a shard: a view of the file's own pages in memory, for which nothing is copied.

A shard's pixels are neither compressed nor encoded. Parquet's PLAIN encoding writes a binary value as its length in
four bytes, little-endian, and its bytes [1]_, and the values of a page end where the page ends. Where a row group's
pixels are a single page, as Arrow writes our few rows, its column chunk therefore ends with n * (4 + size) bytes whose
places are known. Each of the n lengths is compared before the view is handed out.

References:
    .. [1] https://parquet.apache.org/docs/file-format/data-pages/encodings/
"""

import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

LENGTH = np.dtype("<u4")


@dataclass(frozen=True)
class Pixels:
    """Scans at hand; while they lie in their shards, reading one is the system's work, and so is forgetting it.

    Attributes:
        groups: Each uint8 (rows, height, width), 0 to 255.
        places: int64 (n, 2), each scan's group and its row in it.
    """

    groups: tuple[NDArray[np.uint8], ...]
    places: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy scans, by their numbers: uint8 (b, height, width), 0 to 255, for int64 (b,), at least one."""
        return np.stack([self.groups[group][row] for group, row in self.places[chosen].tolist()])


def mapped_values(path: Path, file: pq.ParquetFile, group: int, column: str, size: int) -> NDArray[np.uint8] | None:
    """View the values of a binary column, all of one size, in a row group.

    The view keeps the file's pages reachable even when the file is removed; it reads them as they are used.

    Args:
        path: The Parquet file.
        file: The same, open.
        group: Place of the row group.
        column: A column at the top level.
        size: Bytes of each value.

    Returns:
        uint8 (n, size), read-only, or None where the values do not lie in one piece: they are compressed, encoded, in
        several pages, absent or of another size.
    """
    about = file.metadata.row_group(group)
    chunk = about.column(file.schema_arrow.names.index(column))
    end = chunk.data_page_offset + chunk.total_compressed_size
    start = end - chunk.num_values * (LENGTH.itemsize + size)
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page or start <= chunk.data_page_offset:
        return None
    with path.open("rb") as content:
        pages = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)  # lives as long as the view
    if hasattr(pages, "madvise"):  # not on Windows
        aligned = start // mmap.PAGESIZE * mmap.PAGESIZE
        pages.madvise(mmap.MADV_WILLNEED, aligned, end - aligned)
    rows = np.frombuffer(pages, np.uint8, end - start, start).reshape(chunk.num_values, -1)
    if (rows[:, : LENGTH.itemsize] != np.array([size], LENGTH).view(np.uint8)).any():
        return None
    return rows[:, LENGTH.itemsize :]
