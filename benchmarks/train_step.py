"""How much faster is a training step of the article's network at 300 px? Ours: as `xray run` trains.

Rival: the same network written out in plain Keras, in float32, in a plain process. Each side's steps run in a process
of their own, in turn. Run `python benchmarks/train_step.py`.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import side_by_side
from side_by_side import Options, Row, alternate, answer, timed

PROJECT = Path(__file__).parent.parent
SCANS, WARM_UP = 32, 1


def main() -> None:
    """Measure and print; with `--side`, be the process of one side."""
    arguments = side_by_side.parser(__doc__)
    arguments.add_argument("--side", choices=("ours", "rival"), help="time this side's steps, and print the median")
    chosen = arguments.parse_args()
    if chosen.side is None:
        side_by_side.run(measure, chosen)
        return
    pixels = 48 if chosen.size == "tiny" else 300
    step = {"ours": _ours, "rival": _rival}[chosen.side](pixels)
    seconds = [timed(step) for _ in range(WARM_UP + chosen.rounds)][WARM_UP:]
    print(statistics.median(seconds))


def measure(options: Options) -> list[Row]:
    """Time steps of both sides in turn."""
    from flows.servers.environment import memory_settings

    steps = options.pick(1, 3, 10)
    sides = {
        "ours": lambda: _in_a_child("ours", steps, options.size, memory_settings()),
        "rival": lambda: _in_a_child("rival", steps, options.size, {}),
    }
    found = alternate(sides, options.rounds)
    remark = f"{SCANS / min(found['ours']):.1f} against {SCANS / min(found['rival']):.1f} scans a second, best round"
    question = f"training step of {SCANS} scans, article's network"
    return [answer(question, found["ours"], found["rival"], "1.9 x with bfloat16", remark)]


def _in_a_child(side: str, steps: int, size: str, settings: dict[str, str]) -> float:
    command = [sys.executable, __file__, "--side", side, "--rounds", str(steps), "--size", size]
    clean = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment = clean | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"} | settings
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return float(done.stdout.split()[-1])


def _ours(pixels: int) -> Callable[[], Any]:
    from xray.config import load_config
    from xray.training.devices import choose_precision
    from xray.training.export import arithmetic
    from xray.training.optimization.objective import compiled

    config = load_config("article", [f"images.height={pixels}", f"images.width={pixels}"])
    with arithmetic(choose_precision(config.training.precision)):
        network = compiled(config, steps=100)
    return _step(network, pixels)


def _rival(pixels: int) -> Callable[[], Any]:
    import keras
    from keras import layers

    network = keras.Sequential(
        [
            keras.Input((pixels, pixels, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss="binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC()],
        jit_compile=False,  # Keras decides for XLA by itself, which is slower on a processor
    )
    return _step(network, pixels)


def _step(network: Any, pixels: int) -> Callable[[], Any]:
    draw = np.random.default_rng(0)
    scans = draw.integers(0, 256, (SCANS, pixels, pixels, 1), dtype=np.uint8)
    normal = draw.integers(0, 2, (SCANS, 1)).astype(np.float32)
    return lambda: network.train_on_batch(scans, normal)


if __name__ == "__main__":
    main()
