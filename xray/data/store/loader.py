"""Batches from the pixel store: scan by scan where they fit a memory budget, streamed by row group where they do not.

The order of the scans in an epoch depends on (seed, epoch) alone, so that a training that was killed goes on with the
batches it would have had.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from xray.data.store.pixel_store import PixelStore, RowGroup
from xray.errors import StoreError, StoreUnavailable

MIXED_ROW_GROUPS = 16
"""Row groups that are shuffled together when streaming: some 2,000 scans, 185 MB at 300 x 300."""

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels, uint8 (b, height, width), and each scan's place in `Scans.sha256`, int64 (b,)."""


@dataclass(frozen=True)
class Scans:
    """Scans of one split, with their labels.

    Attributes:
        store: Holds their pixels.
        sha256: n digests.
        targets: float32 (n, k), what the network should answer: `labels.Scheme.targets`.
        in_memory: Whether memory has room for all of them: each is then taken from where it lies, in any order.
    """

    store: PixelStore
    sha256: tuple[str, ...]
    targets: NDArray[np.float32]
    in_memory: bool

    def __len__(self) -> int:
        """Count the scans."""
        return len(self.sha256)

    def batches(self, batch_size: int) -> int:
        """Count the batches of an epoch; the last one may be smaller."""
        return -(-len(self) // batch_size)


@dataclass(frozen=True)
class Augment:
    """What to do with training scans.

    Attributes:
        draw: From an epoch, counted from 0, to float32 (n, columns): what is done to each of the n scans.
        apply: From uint8 (b, height, width, 1) and float32 (b, columns) to uint8 (b, height, width, 1), in
            TensorFlow's graph.
        columns: Numbers that are drawn for a scan.
    """

    draw: Callable[[int], NDArray[np.float32]]
    apply: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    columns: int


def training_batches(
    scans: Scans, batch_size: int, seed: int, epochs: range, augment: Augment | None = None
) -> tf.data.Dataset:
    """Give the batches of several epochs, one epoch after the other, each in an order of its own.

    Args:
        scans: The training scans.
        batch_size: Scans a batch; an epoch's last batch may be smaller.
        seed: Decides the order, with the epoch's number.
        epochs: The epochs' numbers, counted from 0.
        augment: Random changes, or none.

    Returns:
        Pairs of uint8 (b, height, width, 1), 0 to 255, and float32 (b, k), the targets.

    Raises:
        StoreError: The store does not hold every scan. What goes wrong later, see `store_errors`.
    """
    read = _reader(scans, batch_size)

    def generate() -> Iterator[tuple[NDArray, ...]]:
        for epoch in epochs:
            # A key apart from the one of the augmentation, which is (seed, epoch).
            order = np.random.Generator(np.random.Philox(key=[seed, epoch + 2**32]))
            transforms = None if augment is None else augment.draw(epoch)
            for pixels, places in read(order):
                extra = () if transforms is None else (transforms[places],)
                yield (pixels[..., np.newaxis], scans.targets[places], *extra)

    signature = [*_signature(scans)]
    if augment is None:
        return tf.data.Dataset.from_generator(generate, output_signature=tuple(signature)).prefetch(4)
    signature.append(tf.TensorSpec((None, augment.columns), tf.float32))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=tuple(signature))
    return dataset.map(
        lambda pixels, target, transform: (augment.apply(pixels, transform), target),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(4)


def evaluation_batches(scans: Scans, batch_size: int) -> tf.data.Dataset:
    """Give every scan once, unchanged, in a settled order.

    Args:
        scans: Validation or test scans.
        batch_size: Scans a batch; the last one may be smaller.

    Returns:
        Pairs of uint8 (b, height, width, 1), 0 to 255, and float32 (b, k), the targets.

    Raises:
        StoreError: The store does not hold every scan. What goes wrong later, see `store_errors`.
    """
    read = _reader(scans, batch_size)

    def generate() -> Iterator[tuple[NDArray, ...]]:
        for pixels, places in read(None):
            yield pixels[..., np.newaxis], scans.targets[places]

    dataset = tf.data.Dataset.from_generator(generate, output_signature=_signature(scans))
    # Keras asks a validation set for its size once a run; without it, the first epoch warns.
    return dataset.apply(tf.data.experimental.assert_cardinality(scans.batches(batch_size))).prefetch(4)


@contextmanager
def store_errors() -> Iterator[None]:
    """Take a StoreError out of the error that TensorFlow makes of it, where batches are drawn.

    Raises:
        StoreError: A shard could not be read while streaming.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r"(StoreError|StoreUnavailable): (.+)", error.message)
        if found is None:
            raise
        kind = StoreUnavailable if found[1] == "StoreUnavailable" else StoreError
        raise kind(found[2]) from error


def _reader(scans: Scans, batch_size: int) -> Callable[[np.random.Generator | None], Iterator[Batch]]:
    """Choose how an epoch's batches are read; an order of None means none: as they come."""
    if not scans.in_memory:
        places_of: dict[str, list[int]] = {}  # Files with the same bytes share a digest, and each has a place.
        for place, digest in enumerate(scans.sha256):
            places_of.setdefault(digest, []).append(place)
        groups = scans.store.row_groups(set(places_of))
        absent = len(places_of) - sum(group.rows for group in groups)
        if absent:
            raise StoreError(
                f"{scans.store.folder} must contain every scan that is read. Received: {absent} missing scans"
            )
        return lambda order: _streamed_epoch(scans.store, groups, places_of, batch_size, order)
    pixels = scans.store.view(scans.sha256)

    def in_memory_epoch(order: np.random.Generator | None) -> Iterator[Batch]:
        places = np.arange(len(scans)) if order is None else order.permutation(len(scans))
        for start in range(0, len(places), batch_size):
            chosen = places[start : start + batch_size]
            yield pixels.take(chosen), chosen

    return in_memory_epoch


def _streamed_epoch(
    store: PixelStore,
    groups: list[RowGroup],
    places_of: dict[str, list[int]],
    batch_size: int,
    order: np.random.Generator | None,
) -> Iterator[Batch]:
    if order is not None:
        groups = [groups[index] for index in order.permutation(len(groups))]
    windows = [groups[start : start + MIXED_ROW_GROUPS] for start in range(0, len(groups), MIXED_ROW_GROUPS)]
    left = _empty(store)
    with ThreadPoolExecutor(max_workers=1) as reader:
        read_ahead = reader.submit(_window, store, windows[0], places_of)
        for number in range(len(windows)):
            window = read_ahead.result()
            if number + 1 < len(windows):
                read_ahead = reader.submit(_window, store, windows[number + 1], places_of)
            pixels, places = _joined([left, window])
            if order is not None:
                mixed = order.permutation(len(places))
                pixels, places = pixels[mixed], places[mixed]
            full = len(places) // batch_size * batch_size if number + 1 < len(windows) else len(places)
            for start in range(0, full, batch_size):
                stop = min(start + batch_size, full)
                yield pixels[start:stop], places[start:stop]
            left = (pixels[full:], places[full:])


def _window(store: PixelStore, groups: list[RowGroup], places_of: dict[str, list[int]]) -> Batch:
    parts = [_empty(store)]
    for group in groups:
        digests, pixels = store.read_row_group(group)
        wanted = [(row, place) for row, digest in enumerate(digests) for place in places_of.get(digest, ())]
        parts.append((pixels[[row for row, _ in wanted]], np.array([place for _, place in wanted], dtype=np.int64)))
    return _joined(parts)


def _joined(parts: list[Batch]) -> Batch:
    return np.concatenate([pixels for pixels, _ in parts]), np.concatenate([places for _, places in parts])


def _empty(store: PixelStore) -> Batch:
    return np.empty((0, store.height, store.width), dtype=np.uint8), np.empty(0, dtype=np.int64)


def _signature(scans: Scans) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    pixels = tf.TensorSpec((None, scans.store.height, scans.store.width, 1), tf.uint8)
    return pixels, tf.TensorSpec((None, scans.targets.shape[1]), tf.float32)
