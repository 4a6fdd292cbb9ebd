"""How much faster is a training step when glibc keeps its memory? Ours: `TRAINING_MEMORY`; rival: glibc as it is.

Run `python benchmarks/training_memory.py`. Alternating processes, each a few steps of the article's network at
300 x 300; prints medians and their ratio. It fails nothing.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

STEPS, WARM_UP = 4, 2


def main() -> None:
    """Time both sides in turn, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--recipe", default="article")
    arguments.add_argument("--child", action="store_true")
    options = arguments.parse_args()
    if options.child:
        _time_steps(options.recipe)
        return
    from flows.servers.environment import TRAINING_MEMORY

    tunables = ":".join(f"{name}={value}" for name, value in TRAINING_MEMORY.items())
    seconds: dict[str, list[float]] = {"ours": [], "rival": []}
    for _ in range(options.rounds):
        for side, setting in (("ours", tunables), ("rival", "")):
            seconds[side].append(_in_a_child(options.recipe, setting))
    ours, rival = (statistics.median(seconds[side]) for side in ("ours", "rival"))
    print(f"machine  {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"step     ours {ours:.2f} s, rival {rival:.2f} s, ratio {rival / ours:.2f} x  ({seconds})")


def _in_a_child(recipe: str, tunables: str) -> float:
    environment = {**os.environ, "GLIBC_TUNABLES": tunables, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--child", "--recipe", recipe]
    child = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    print(child.stdout.decode().strip(), flush=True)
    return float(child.stdout.split()[0])


def _time_steps(recipe: str) -> None:
    import keras
    import numpy as np

    from xray.config import load_config
    from xray.training.networks.architectures import build

    config = load_config(recipe)
    network = build(config.model, config.images, seed=0)
    network.compile(optimizer=keras.optimizers.Adam(1e-4), loss="binary_crossentropy", jit_compile=False)
    draw = np.random.default_rng(0)
    size = (config.training.batch_size, config.images.height, config.images.width, 1)
    scans, normal = draw.integers(0, 256, size, dtype=np.uint8), draw.integers(0, 2, (size[0], 1))
    for _ in range(WARM_UP):
        network.train_on_batch(scans, normal)
    times, before = [], resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(STEPS):
        began = time.perf_counter()
        network.train_on_batch(scans, normal)
        times.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = (after.ru_stime - before.ru_stime) / STEPS
    faults = (after.ru_minflt - before.ru_minflt) / STEPS
    print(f"{statistics.median(times):.3f} s a step, {system:.2f} s of it in the kernel, {faults:,.0f} page faults")


if __name__ == "__main__":
    main()
