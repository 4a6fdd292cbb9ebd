"""How much faster do scans become training data? Ours: digested, normalized and stored in shards, on all cores.

Rival: the article's loop in Pillow, one process: open, gray, resize, save as PNG. Run `python benchmarks/normalize.py`.
"""

import io
import itertools
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import side_by_side
from PIL import Image
from side_by_side import Options, Row, alternate, answer, scans_of, timed

from xray.config import Images
from xray.data.decoding.image_decoder import normalize
from xray.data.file_digests import file_digests
from xray.data.store.fill_pixel_store import fill

LARGE, SMALL = (1800, 1400), (224, 224)
IMAGES = Images()


def main() -> None:
    """Measure and print."""
    side_by_side.run(measure, side_by_side.parser(__doc__).parse_args())


def measure(options: Options) -> list[Row]:
    """Time both sides on large and small scans, and say how far apart the pixels lie."""
    size = (128, 96) if options.size == "tiny" else LARGE
    large = options.phantoms(options.pick(40, 120, 2000), size)
    small = options.phantoms(options.pick(40, 600, 5910), SMALL)
    question = f"normalize phantoms of {size[0]:,} x {size[1]:,}"
    rows = [_question(question, large, scans_of(large), options, "6 x, 0.5 gray levels")]
    if options.data:
        paths = [path for path in scans_of(options.data) if Image.open(options.data / path).size != SMALL]
        question = f"normalize {len(paths)} real scans of full size"
        rows.append(_question(question, options.data, paths, options, "6 x, 0.5 gray levels"))
    return [*rows, _question("normalize phantoms of 224 x 224", small, scans_of(small), options, "2.5 x")]


def _question(question: str, folder: Path, paths: list[str], options: Options, wanted: str) -> Row:
    for path in paths:
        (folder / path).read_bytes()  # so that neither side is the first to fetch a file from the disk
    stores = (options.work / f"normalized-{number}" for number in itertools.count())

    def ours() -> float:
        store = next(stores)
        seconds = timed(lambda: _ours(folder, paths, store))
        shutil.rmtree(store)
        return seconds

    def rival() -> float:
        target = next(stores)
        target.mkdir()
        seconds = timed(lambda: _rival(folder, paths, target))
        shutil.rmtree(target)
        return seconds

    processor: dict[str, list[float]] = {"ours": [], "rival": []}
    sides = {"ours": _counted(ours, processor["ours"]), "rival": _counted(rival, processor["rival"])}
    found = alternate(sides, options.rounds)
    apart = [_apart(folder / path) for path in paths[:200]]
    each, busy = 1000 / len(paths), {name: statistics.median(seconds) for name, seconds in processor.items()}
    remark = (
        f"{len(paths)} scans; processor {busy['ours'] * each:.1f} against {busy['rival'] * each:.1f} ms a scan,"
        f" {busy['rival'] / busy['ours']:.2f} x; gray levels apart {np.mean(apart):.2f}, at most {max(apart):.2f}"
    )
    return answer(question, found["ours"], found["rival"], wanted, remark)


def _counted(side: Callable[[], float], seconds: list[float]) -> Callable[[], float]:
    """Note the processor's seconds besides, of all threads: other work on the machine adds to them least."""

    def counted() -> float:
        began = time.process_time()
        elapsed = side()
        seconds.append(time.process_time() - began)
        return elapsed

    return counted


def _ours(folder: Path, paths: list[str], store: Path) -> None:
    digests = file_digests(folder, paths, store / "digests.parquet")
    fill(folder, digests, IMAGES, store / "pixels")


def _rival(folder: Path, paths: list[str], target: Path) -> None:
    for number, path in enumerate(paths):
        Image.open(folder / path).convert("L").resize((IMAGES.width, IMAGES.height)).save(target / f"{number}.png")


def _apart(path: Path) -> float:
    """Compare with a full decode and antialiasing: the mean absolute difference of a pixel, in gray levels."""
    data = path.read_bytes()
    whole = Image.open(io.BytesIO(data))
    gray = Image.composite(whole.convert("L"), Image.new("L", whole.size), whole.convert("RGBA").getchannel("A"))
    expected = np.asarray(gray.resize((IMAGES.width, IMAGES.height), Image.Resampling.BILINEAR), float)
    return float(abs(normalize(data, IMAGES).pixels - expected).mean())


if __name__ == "__main__":
    main()
