"""Every scan once an epoch, in an order that (seed, epoch) settles, from memory or streamed."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from xray.config import Images
from xray.data.store import fill_pixel_store, loader
from xray.data.store.fill_pixel_store import PixelStore, fill
from xray.data.store.loader import Augment, Scans, evaluation_batches, store_errors, training_batches
from xray.errors import StoreError

SMALL = Images(height=32, width=40)
ALL, WANTED = 60, 45
"""Scan number i is gray i all over; those from `WANTED` on are TEST scans, and lie in the same row groups."""
TWICE = (7, 30)
"""Numbers whose bytes two files have."""


@pytest.fixture(scope="module")
def digests() -> dict[int, str]:
    """From a scan's number to the digest of its file; filled by `store`."""
    return {}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, digests: dict[int, str]) -> PixelStore:
    """Sixty scans in five shards of three row groups."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(ALL):
        path = folder / f"{number}.png"
        pixels = np.full((SMALL.height, SMALL.width), number, np.uint8)
        pixels[1:] += np.arange(SMALL.width, dtype=np.uint8)  # a picture of one gray is no scan
        Image.fromarray(pixels).save(path)
        digests[number] = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.MonkeyPatch.context() as small:
        small.setattr(fill_pixel_store, "SHARD_ROWS", 12)
        small.setattr(fill_pixel_store, "ROW_GROUP_ROWS", 4)
        of_path = {f"{number}.png": digest for number, digest in digests.items()}
        return fill(folder, of_path, SMALL, tmp_path_factory.mktemp("pixels")).store


@pytest.fixture(params=[True, False], ids=["in-memory", "streamed"])
def scans(
    request: pytest.FixtureRequest, store: PixelStore, digests: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> Scans:
    """The 45 wanted scans and two files that repeat two of them; the odd ones are normal."""
    monkeypatch.setattr(loader, "MIXED_ROW_GROUPS", 4)  # four windows, where one would do
    return scans_of(store, digests, in_memory=request.param)


def scans_of(store: PixelStore, digests: dict[int, str], *, in_memory: bool) -> Scans:
    numbers = [*range(WANTED), *TWICE]
    targets = np.array([[number % 2] for number in numbers], dtype=np.float32)
    return Scans(store, tuple(digests[number] for number in numbers), targets, in_memory)


def read(dataset: tf.data.Dataset) -> list[list[int]]:
    """The numbers of the scans in each batch."""
    return [pixels[:, 0, 0, 0].tolist() for pixels, _ in dataset.as_numpy_iterator()]


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


EVERY = sorted([*range(WANTED), *TWICE])


class TestAnEpoch:
    def test_gives_each_scan_once_and_no_test_scan(self, scans: Scans) -> None:
        assert sorted(flat(read(training_batches(scans, 8, 0, range(1))))) == EVERY

    def test_has_full_batches_and_a_smaller_last_one(self, scans: Scans) -> None:
        batches = read(training_batches(scans, 8, 0, range(2)))
        assert [len(batch) for batch in batches] == 2 * [8, 8, 8, 8, 8, 7]
        assert scans.batches(8) == 6

    def test_of_a_whole_number_of_batches_ends_with_a_full_one(self, scans: Scans) -> None:
        assert [len(batch) for batch in read(training_batches(scans, 47, 0, range(2)))] == [47, 47]
        assert scans.batches(47) == 1

    def test_holds_the_stored_pixels_and_one_for_normal(self, scans: Scans) -> None:
        for pixels, target in training_batches(scans, 16, 0, range(1)).as_numpy_iterator():
            assert pixels.dtype == np.uint8
            assert pixels.shape[1:] == (32, 40, 1)
            across = pixels[:, :1, :1] + np.arange(40, dtype=np.uint8)[:, np.newaxis]
            assert (pixels[:, 1:] == across).all()
            assert target.dtype == np.float32
            np.testing.assert_array_equal(target, pixels[:, 0, 0] % 2)

    def test_is_mixed(self, scans: Scans) -> None:
        order = flat(read(training_batches(scans, 8, 0, range(1))))
        assert order != sorted(order)
        assert order != flat(read(evaluation_batches(scans, 8)))


class TestOrder:
    def test_follows_from_seed_and_epoch(self, scans: Scans) -> None:
        assert read(training_batches(scans, 8, 3, range(2))) == read(training_batches(scans, 8, 3, range(2)))

    def test_differs_between_epochs_and_between_seeds(self, scans: Scans) -> None:
        batches = read(training_batches(scans, 8, 3, range(2)))
        first, second = batches[:6], batches[6:]
        assert first != second
        assert first != read(training_batches(scans, 8, 4, range(1)))

    def test_goes_on_in_a_resumed_training_as_in_an_unbroken_one(self, scans: Scans) -> None:
        unbroken = read(training_batches(scans, 8, 3, range(4)))
        assert read(training_batches(scans, 8, 3, range(2, 4))) == unbroken[2 * scans.batches(8) :]

    def test_is_settled_for_evaluation(self, scans: Scans) -> None:
        first = read(evaluation_batches(scans, 8))
        assert sorted(flat(first)) == EVERY
        assert [len(batch) for batch in first] == [8, 8, 8, 8, 8, 7]
        assert read(evaluation_batches(scans, 8)) == first
        assert int(evaluation_batches(scans, 8).cardinality()) == 6

    def test_of_evaluation_in_memory_is_that_of_the_scans(self, store: PixelStore, digests: dict[int, str]) -> None:
        scans = scans_of(store, digests, in_memory=True)
        assert flat(read(evaluation_batches(scans, 8))) == [*range(WANTED), *TWICE]


class TestAugment:
    @staticmethod
    def marked() -> Augment:
        """Adds to a scan what was drawn for its place: 100, and 50 more for a repeated file in epoch 1."""

        def draw(epoch: int) -> NDArray[np.float32]:
            rows = np.full((WANTED + len(TWICE), 8), 100, np.float32)
            rows[WANTED:] += 50 * epoch
            return rows

        def apply(pixels: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
            return pixels + tf.cast(transforms[:, :1, tf.newaxis, tf.newaxis], tf.uint8)

        return Augment(draw, apply, columns=8)

    def test_each_scan_gets_what_was_drawn_for_its_place_and_epoch(self, scans: Scans) -> None:
        numbers = read(training_batches(scans, 8, 0, range(2), self.marked()))
        first, second = flat(numbers[:6]), flat(numbers[6:])
        assert sorted(first) == [100 + number for number in EVERY]
        assert sorted(second) == sorted([*range(100, 100 + WANTED), *(150 + number for number in TWICE)])

    def test_the_order_is_that_without_it(self, scans: Scans) -> None:
        plain = flat(read(training_batches(scans, 8, 0, range(1))))
        assert flat(read(training_batches(scans, 8, 0, range(1), self.marked()))) == [100 + number for number in plain]


class TestErrors:
    @pytest.mark.parametrize(
        "batches", [evaluation_batches, lambda scans, size: training_batches(scans, size, 0, range(1))]
    )
    def test_a_scan_that_the_store_lacks_is_refused_at_once(
        self, scans: Scans, batches: Callable[[Scans, int], tf.data.Dataset]
    ) -> None:
        more = Scans(scans.store, (*scans.sha256, "f" * 64), np.append(scans.targets, [[0]], axis=0), scans.in_memory)
        with pytest.raises(StoreError, match="must contain every scan that is read. Received: "):
            batches(more, 8)

    def test_a_shard_that_breaks_while_streaming_is_named(
        self, store: PixelStore, digests: dict[int, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loader, "MIXED_ROW_GROUPS", 4)
        copy = PixelStore.open(Path(shutil.copytree(store.folder, tmp_path / "copy")))
        dataset = evaluation_batches(scans_of(copy, digests, in_memory=False), 4)
        last = copy.folder / copy.shards[-1].name
        last.write_bytes(b"no longer a shard")
        seen: list[int] = []
        with pytest.raises(StoreError, match=f"{last.name} must be an undamaged shard"), store_errors():
            for pixels, _ in dataset.as_numpy_iterator():
                seen += pixels[:, 0, 0, 0].tolist()
        assert 0 < len(seen) < len(EVERY)

    def test_other_errors_of_tensorflow_pass_as_they_are(self) -> None:
        with pytest.raises(tf.errors.InvalidArgumentError), store_errors():
            tf.reshape(tf.zeros(3), (2, 2))
