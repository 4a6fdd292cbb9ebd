"""How much faster is a folder of full-size scans scored? Ours: as `xray score` does, without its ledger.

Rival: Pillow and `model.predict`, a file at a time. Both load the article's network with fresh weights, each in a
process of its own. Run `python benchmarks/score.py`.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import side_by_side
from side_by_side import Options, Row, alternate, answer, scans_of, timed

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "DO_NOT_TRACK": "true"}
SIDE = 300


def main() -> None:
    """Measure and print; with `--rival`, be the rival's process."""
    arguments = side_by_side.parser(__doc__)
    arguments.add_argument("--rival", nargs=2, type=Path, metavar=("NETWORK", "FOLDER"), help="score so, and print")
    chosen = arguments.parse_args()
    if chosen.rival is None:
        os.environ.update(QUIET)
        side_by_side.run(measure, chosen)
    else:
        print(_scored_one_by_one(*chosen.rival))


def measure(options: Options) -> list[Row]:
    """Time both sides, from start to end and a scan once they are warm."""
    pixels, size = (32, (64, 48)) if options.size == "tiny" else (SIDE, (1800, 1400))
    folder = options.phantoms(options.pick(70, 200, 2000), size)
    files = [folder / path for path in scans_of(folder)]
    network, model = models(options.work / "score", pixels)
    warm: dict[str, list[float]] = {"ours": [], "rival": []}

    def side(name: str, score: Callable[[], float]) -> float:
        return timed(lambda: warm[name].append(score()))

    sides = {
        "ours": lambda: side("ours", lambda: _scored(model, files)),
        "rival": lambda: side("rival", lambda: _rival_in_a_child(network, folder)),
    }
    whole = alternate(sides, options.rounds)
    what = f"{size[0]:,} x {size[1]:,}"
    ours, rival = (1 / statistics.median(warm[name]) for name in ("ours", "rival"))
    rate = f"{ours:.0f} against {rival:.0f} scans a second"
    return [
        answer(f"score a scan of {what}, once loaded", warm["ours"], warm["rival"], "4 x", rate),
        answer(f"score {len(files)} scans of {what}, with start", whole["ours"], whole["rival"], "4 x at 2,000"),
    ]


def models(folder: Path, pixels: int) -> tuple[Path, Path]:
    """Keep the article's network, as a file and as the registered model is kept."""
    from xray.config import load_config
    from xray.evaluation.decision.rule import DecisionRule
    from xray.models.package import Settings, save
    from xray.training.networks.architectures import build

    config = load_config("article", [f"images.height={pixels}", f"images.width={pixels}"])
    folder.mkdir(parents=True, exist_ok=True)
    network, model = folder / "network.keras", folder / "model"
    if not model.is_dir():
        build(config.model, config.images, seed=0).save(network)
        save(model, network, Settings.of(config.images, DecisionRule.at(0.5)))
    return network, model


def _scored(model: Path, files: list[Path]) -> float:
    """Give the seconds a scan, counted from the first batch's answer on."""
    from xray.scoring.local_pool import scores

    times, counts = [], []
    for part in scores(model, files):
        times.append(time.perf_counter())
        counts.append(len(part))
    return (times[-1] - times[0]) / sum(counts[1:])


def _rival_in_a_child(network: Path, folder: Path) -> float:
    command = [sys.executable, __file__, "--rival", str(network), str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(done.stdout.split()[-1])


def _scored_one_by_one(network: Path, folder: Path) -> float:
    import keras
    import numpy as np
    from PIL import Image

    model = keras.saving.load_model(network)
    height, width = model.input_shape[1:3]

    def score(path: str) -> float:
        scan = Image.open(folder / path).convert("L").resize((width, height))
        return float(model.predict(np.asarray(scan)[np.newaxis, ..., np.newaxis], verbose=0)[0, 0])

    paths = scans_of(folder)
    score(paths[0])  # builds the graph
    return timed(lambda: [score(path) for path in paths[1:]]) / (len(paths) - 1)


if __name__ == "__main__":
    main()
