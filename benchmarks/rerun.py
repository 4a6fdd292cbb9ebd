"""How much faster is a pipeline that was run before? Ours: run again with nothing changed; rival: the first run.

Once as `xray run`, with Prefect's server and all, and once its steps alone, without Prefect, in a process where the
libraries are loaded already: the time of our own code. Run `python benchmarks/rerun.py`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import side_by_side
from side_by_side import Options, Row, answer, timed

PROJECT = Path(__file__).parent.parent


def main() -> None:
    """Measure and print; with `--steps`, run the steps alone."""
    arguments = side_by_side.parser(__doc__)
    arguments.add_argument("--steps", nargs=3, metavar=("RECIPE", "SCANS", "HOME"), help="run the steps, and print")
    chosen = arguments.parse_args()
    if chosen.steps is None:
        side_by_side.run(measure, chosen)
    else:
        recipe, folder, home = chosen.steps
        print(_steps(recipe, Path(folder), Path(home), _settings(chosen.size)))


def measure(options: Options) -> list[Row]:
    """Time a first run and a second one: as a command, as steps, and of real scans, as a command with `default`."""
    folder = options.phantoms(options.pick(80, 400, 4000), (224, 224))
    rounds = range(options.pick(1, 1, 3))
    command = [_pair(options, lambda home: timed(lambda: _run("quick", folder, home, options.size))) for _ in rounds]
    steps = [_pair(options, lambda home: _steps_in_a_child("quick", folder, home, options.size)) for _ in rounds]
    remark = "recipe quick, one epoch" if options.size == "tiny" else "recipe quick, phantoms"
    rows = [
        answer("xray run again", *zip(*command, strict=True), "", remark),
        answer("xray run again, our own code alone", *zip(*steps, strict=True), "20 x, 2 s", remark),
    ]
    real = options.data
    if real is not None:
        pair = _pair(options, lambda home: timed(lambda: _run("default", real, home, options.size)))
        rows.append(answer("xray run again", [pair[0]], [pair[1]], "20 x", "recipe default, real scans"))
    return rows


def _pair(options: Options, run: Callable[[Path], float]) -> tuple[float, float]:
    """Run twice in a new home: the second run's seconds, and the first one's."""
    home = options.work / "rerun"
    home.mkdir()
    first = run(home)
    again = run(home)
    shutil.rmtree(home)
    return again, first


def _settings(size: str) -> list[str]:
    small = ["images.height=32", "images.width=32", "training.epochs=1", "evaluation.bootstrap_draws=100"]
    return small if size == "tiny" else []


def _run(recipe: str, folder: Path, home: Path, size: str) -> None:
    settings = [part for setting in _settings(size) for part in ("--set", setting)]
    command = [sys.executable, "-m", "flows.cli", "run", str(folder), "--recipe", recipe, "--home", str(home)]
    subprocess.run([*command, *settings], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _steps_in_a_child(recipe: str, folder: Path, home: Path, size: str) -> float:
    from flows.servers.environment import quiet_settings

    command = [sys.executable, __file__, "--steps", recipe, str(folder), str(home), "--size", size]
    environment = os.environ | quiet_settings(home)
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(done.stdout.split()[-1])


def _steps(recipe: str, folder: Path, home: Path, settings: list[str]) -> float:
    import xray.evaluation.inspection.compute_inspection
    import xray.training.epochs  # noqa: F401 - loaded before the clock starts, on both sides
    from xray.config import Workspace, load_config
    from xray.data.prepare import clean, normalize, write_prepared
    from xray.evaluation.evaluate import evaluate
    from xray.evaluation.inspection.inspect import inspect
    from xray.runs.run_context import RunContext
    from xray.runs.training_run import record, train_and_track

    config, workspace = load_config(recipe, settings), Workspace(home=home)

    def steps() -> None:
        cleaned = clean(folder, workspace)
        store = normalize(cleaned, config, workspace).store
        catalog = write_prepared(cleaned, store, config, workspace)
        trained = train_and_track(catalog, store, config, RunContext(workspace))
        evaluated = evaluate(trained, catalog, store, config)
        inspect(trained, evaluated, catalog, store, config)
        record(trained, evaluated, catalog, config, RunContext(workspace))

    return timed(steps)


if __name__ == "__main__":
    main()
