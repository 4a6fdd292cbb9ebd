"""A view of a shard's pixels is what Arrow decodes, or there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from xray.config import Images
from xray.data.file_digests import file_digests
from xray.data.store.fill_pixel_store import fill
from xray.data.store.parquet_mmap import Pixels, mapped_values
from xray.data.store.pixel_store import PixelStore, RowGroup, Shard

SIDE = 40
SIZE = SIDE * SIDE
PLAIN = {"compression": "NONE", "use_dictionary": False}


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (90, SIDE, SIDE), np.uint8)


def written(path: Path, pixels: NDArray[np.uint8], **settings: Any) -> Path:
    """Write the scans in row groups of 32; `sha256` is a scan's number."""
    values = [scan.tobytes() for scan in pixels]
    table = pa.table(
        {"sha256": [str(number) for number in range(len(values))], "pixels": pa.array(values, pa.binary())}
    )
    pq.write_table(table, path, row_group_size=32, **(PLAIN | settings))
    return path


def viewed(path: Path, group: int = 0, size: int = SIZE) -> NDArray[np.uint8] | None:
    with pq.ParquetFile(path) as file:
        return mapped_values(path, file, group, "pixels", size)


def store_of(path: Path) -> PixelStore:
    return PixelStore(path.parent, "f00d", SIDE, SIDE, (Shard(path.name, "", path.stat().st_size, 90),), ())


def test_values_in_one_page_are_viewed_in_every_row_group(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    path = written(tmp_path / "shard.parquet", pixels)
    for group in range(3):
        view = viewed(path, group)
        assert view is not None
        assert not view.flags.writeable
        np.testing.assert_array_equal(view, pixels.reshape(90, SIZE)[32 * group : 32 * group + 32])


def test_shards_are_written_so_that_they_can_be_viewed(phantoms: Path, tmp_path: Path) -> None:
    """Row groups of several megabytes: an Arrow that ended a page sooner would leave nothing to view."""
    names = [f"train/{path.name}" for path in sorted((phantoms / "train").iterdir())]
    store = fill(phantoms, file_digests(phantoms, names, tmp_path / "digests.parquet"), Images(), tmp_path).store
    groups = store.row_groups()
    assert max(group.rows for group in groups) > 100
    for group in groups:
        assert viewed(group.shard, group.group, store.height * store.width) is not None


def test_a_view_stays_when_the_file_goes(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    path = written(tmp_path / "shard.parquet", pixels)
    view = viewed(path)
    path.unlink()
    np.testing.assert_array_equal(view, pixels.reshape(90, SIZE)[:32])


LYING_OTHERWISE = {
    "several pages": {"data_page_size": 3 * SIZE, "write_batch_size": 1},
    "compressed": {"compression": "ZSTD"},
    "a dictionary": {"use_dictionary": True},
    "encoded": {"column_encoding": {"pixels": "DELTA_LENGTH_BYTE_ARRAY"}},
}


@pytest.mark.parametrize("settings", LYING_OTHERWISE.values(), ids=LYING_OTHERWISE)
def test_what_lies_otherwise_is_not_viewed_and_is_read_all_the_same(
    pixels: NDArray[np.uint8], tmp_path: Path, settings: dict[str, Any]
) -> None:
    path = written(tmp_path / "shard.parquet", pixels, **settings)
    assert viewed(path) is None
    store = store_of(path)
    digests, streamed = store.read_row_group(RowGroup(path, 1, 0))
    assert digests == [str(number) for number in range(32, 64)]
    np.testing.assert_array_equal(streamed, pixels[32:64])
    np.testing.assert_array_equal(store.read(["70", "3", "70"]), pixels[[70, 3, 70]])


def test_values_of_another_size_are_not_viewed(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    path = written(tmp_path / "shard.parquet", pixels)
    for size in (SIZE - 1, SIZE + 1, 1, 10**9):
        assert viewed(path, size=size) is None


def test_a_value_that_is_absent_is_no_value_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    values = pa.array([bytes(SIZE), None, bytes(SIZE)], pa.binary())
    pq.write_table(pa.table({"sha256": ["0", "1", "2"], "pixels": values}), path, **PLAIN)
    assert viewed(path) is None


@pytest.mark.parametrize("settings", [{}, LYING_OTHERWISE["several pages"]], ids=["viewed", "read"])
def test_scans_are_taken_by_their_numbers(pixels: NDArray[np.uint8], tmp_path: Path, settings: dict[str, Any]) -> None:
    found = store_of(written(tmp_path / "shard.parquet", pixels, **settings)).view(["70", "3", "41", "70"])
    assert isinstance(found, Pixels)
    np.testing.assert_array_equal(found.take(np.array([3, 2, 0])), pixels[[70, 41, 70]])
    np.testing.assert_array_equal(found.take(np.arange(4)), pixels[[70, 3, 41, 70]])
