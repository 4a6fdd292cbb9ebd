"""How does cost grow with the number of scans? Ours: a scan of many; rival: a scan of the fewest, by the same code.

Phantoms of 224 px go through cleaning, normalizing, auditing and splitting, and a streamed epoch of a small network. A
ratio of 1 means that a scan costs the same among many as among few; below 1 it costs more. Each step of each number
runs in a process of its own, which first takes the same step with a handful of scans: what happens once in a process
is not counted, and the peak memory is that step's alone. Run `python benchmarks/growth.py --size full --plot FILE`.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import side_by_side
from growth_steps import RECIPE, Cost
from many_phantoms import write_many
from side_by_side import Options, Row, answer, scans_of

from xray.data.sources.coronahack import METADATA_NAME

PROJECT = Path(__file__).parent.parent
STEPS_ALONE = Path(__file__).with_name("growth_steps.py")
STEPS = {"clean": "clean", "normalize": "normalize", "prepare": "audit and split", "epoch": "one streamed epoch"}
FEW, SIZE = 40, (224, 224)

Costs = dict[tuple[str, int], list[Cost]]
"""From a step and a number of scans to each round's cost."""


def main() -> None:
    """Measure and print."""
    arguments = side_by_side.parser(__doc__)
    arguments.add_argument("--plot", type=Path, help="draw time and memory against the number of scans")
    chosen = arguments.parse_args()
    side_by_side.run(partial(measure, plot=chosen.plot), chosen)


def measure(options: Options, plot: Path | None = None) -> list[Row]:
    """Take every step with every number of scans, as often as there are rounds."""
    sizes = {"tiny": (80, 160), "usual": (2_000, 20_000), "full": (2_000, 20_000, 100_000)}[options.size]
    drawn = options.phantoms(options.pick(FEW, 400, 400), SIZE)
    few = options.phantoms(FEW, SIZE)
    folders = {scans: _many(drawn, options.work / f"many-{scans}", scans) for scans in sizes}
    home = options.work / "growth-home"
    costs: Costs = {(step, scans): [] for step in STEPS for scans in sizes}
    for number in range(options.rounds):
        for scans in sizes if number % 2 == 0 else sizes[::-1]:
            shutil.rmtree(home, ignore_errors=True)
            for step in STEPS:
                costs[step, scans].append(_in_a_child(step, few, folders[scans], home))
    shutil.rmtree(home)
    if plot:
        _draw(costs, plot)
    return [_row(step, scans, sizes[0], costs) for scans in sizes[1:] for step in STEPS]


def _many(drawn: Path, folder: Path, scans: int) -> Path:
    if not (folder / METADATA_NAME).is_file():  # it comes last
        write_many(drawn, folder, scans)
    for path in scans_of(folder):
        (folder / path).read_bytes()  # so that no round is the first to fetch a file from the disk
    return folder


def _in_a_child(step: str, few: Path, scans: Path, home: Path) -> Cost:
    from flows.servers.environment import memory_settings, quiet_settings

    command = [sys.executable, str(STEPS_ALONE), step, str(few), str(scans), str(home)]
    environment = os.environ | quiet_settings(home) | (memory_settings() if step == "epoch" else {})
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _row(step: str, scans: int, fewest: int, costs: Costs) -> Row:
    many, few = costs[step, scans], costs[step, fewest]
    middle = {name: [_median(each, name) for each in (many, few)] for name in vars(many[0])}
    memory = [
        f"{peak:.0f} MB ({start:.0f} at the start)" for peak, start in zip(middle["peak"], middle["start"], strict=True)
    ]
    processor = [each * 1000 for each in middle["processor"]]
    remark = (
        f"processor {processor[0]:.3g} against {processor[1]:.3g} ms a scan, {processor[1] / processor[0]:.2f} x;"
        f" peak memory {' against '.join(memory)}"
    )
    question = f"{STEPS[step]}, a scan of {scans:,}; of {fewest:,}"
    seconds = ([cost.seconds for cost in each] for each in (many, few))
    return answer(question, *seconds, "0.9 x, memory flat", remark)


def _median(costs: Sequence[Cost], name: str) -> float:
    return statistics.median(getattr(cost, name) for cost in costs)


def _draw(costs: Costs, path: Path) -> None:
    """Draw each step's time a scan and peak memory against the number of scans."""
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    from xray.evaluation.plots.style import ACCENT, BLUE, GRAY, INK, SMALL, canvas, plain_axes

    sizes = sorted({scans for _, scans in costs})
    rounds = len(costs["clean", sizes[0]])
    about = (
        f"Phantoms of 224 x 224, recipe {RECIPE}, rounds: {rounds}. Dotted: elapsed, with what others did meanwhile."
    )
    figure = canvas(4.4, "What a scan costs, among few and among many", about)
    time_axes, memory_axes = figure.subplots(1, 2)
    for step, (color, marker) in zip(STEPS, ((BLUE, "o"), (ACCENT, "s"), (INK, "^"), (GRAY, "D")), strict=True):
        processor, elapsed, peak = (
            [_median(costs[step, scans], name) * unit for scans in sizes]
            for name, unit in (("processor", 1000), ("seconds", 1000), ("peak", 1))
        )
        time_axes.plot(sizes, processor, color=color, marker=marker, label=STEPS[step])
        time_axes.plot(sizes, elapsed, color=color, linestyle=":")
        memory_axes.plot(sizes, peak, color=color, marker=marker)
    for axes, label in ((time_axes, "processor time a scan (ms)"), (memory_axes, "peak memory of the process (MB)")):
        plain_axes(axes, "scans, on a logarithmic axis", label)
        axes.set(xscale="log", xticks=sizes, ylim=(0, None))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
