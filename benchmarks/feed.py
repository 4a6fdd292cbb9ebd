"""How much faster do batches of 300 px come? Ours: from shards; rival: Keras's own reader of a folder of PNG files.

Both give every scan once an epoch, shuffled, 32 at a time. The first epoch counts all it takes to begin: opening the
store or listing the folder, and reading the files. A second rival keeps its decoded batches in memory, as Keras's guide
suggests. Run `python benchmarks/feed.py`.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import side_by_side
from PIL import Image
from side_by_side import Options, Row, alternate, answer, scans_of

from xray.config import Images
from xray.data.file_digests import file_digests
from xray.data.store.fill_pixel_store import fill
from xray.data.store.pixel_store import PixelStore

BATCH, EPOCHS = 32, 3
IMAGES = Images()


def main() -> None:
    """Measure and print."""
    side_by_side.run(measure, side_by_side.parser(__doc__).parse_args())


def measure(options: Options) -> list[Row]:
    """Time the first epoch and the later ones, of both sides."""
    scans = options.pick(64, 1000, 5910)
    store = _store(options.phantoms(scans, (300, 300)), options.work)
    folder = _png_folder(store, options.work / "feed-png")
    ours = {"first": [], "later": []}
    rival, cached = {"first": [], "later": []}, {"first": [], "later": []}

    def side(epochs: Any, seconds: dict[str, list[float]]) -> float:
        times = epochs()
        seconds["first"].append(times[0])
        seconds["later"].append(float(np.median(times[1:])))
        return sum(times)

    sides = {
        "ours": lambda: side(lambda: _ours(store.folder), ours),
        "rival": lambda: side(lambda: _rival(folder, cached=False), rival),
        "cached": lambda: side(lambda: _rival(folder, cached=True), cached),
    }
    _ours(store.folder), _rival(folder, cached=False)  # TensorFlow starts its threads
    alternate(sides, options.rounds)
    name, remark = "feed batches of 300 px", f"{scans} scans an epoch"
    return [
        answer(f"{name}, first epoch", ours["first"], rival["first"], "3 x", remark),
        answer(f"{name}, later epochs", ours["later"], rival["later"], "10 x", remark),
        answer(f"{name}, later epochs, rival caches", ours["later"], cached["later"], "", remark),
    ]


def _store(folder: Path, work: Path) -> PixelStore:
    digests = file_digests(folder, scans_of(folder), work / "feed-digests.parquet")
    return fill(folder, digests, IMAGES, work / "feed-pixels").store


def _png_folder(store: PixelStore, folder: Path) -> Path:
    """Write the stored pixels as the article did: a PNG a scan, a folder a label; the labels play no part here."""
    for name in ("normal", "pneumonia"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, sha256 in enumerate(sorted(store.facts["sha256"])):
        label = ("normal", "pneumonia")[number % 2]
        Image.fromarray(store.read([sha256])[0]).save(folder / label / f"{number}.png")
    return folder


def _ours(folder: Path) -> list[float]:
    from xray.data.store.loader import Scans, training_batches

    began = time.perf_counter()
    store = PixelStore.open(folder)
    sha256 = tuple(store.facts["sha256"])
    scans = Scans(store, sha256, np.zeros((len(sha256), 1), np.float32), in_memory=True)
    batches = iter(training_batches(scans, BATCH, seed=0, epochs=range(EPOCHS)))
    return _epochs(lambda: batches, scans.batches(BATCH), began)


def _rival(folder: Path, cached: bool) -> list[float]:
    import keras
    import tensorflow as tf

    began = time.perf_counter()
    batches = keras.utils.image_dataset_from_directory(
        folder, label_mode="binary", color_mode="grayscale", batch_size=BATCH, image_size=(300, 300), verbose=False
    )
    batches = (batches.cache() if cached else batches).prefetch(tf.data.AUTOTUNE)
    return _epochs(lambda: iter(batches), int(batches.cardinality()), began)


def _epochs(begin: Any, count: int, began: float) -> list[float]:
    """Take `count` batches as often as there are epochs; give each epoch's seconds."""
    seconds = []
    for _ in range(EPOCHS):
        batches = begin()
        for _ in range(count):
            next(batches)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    return seconds


if __name__ == "__main__":
    main()
