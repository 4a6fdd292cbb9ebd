"""What do hostile files cost an inbox? Ours: `xray score` on phantoms beside them; rival: on the phantoms alone.

It fails where a phantom is left out. The model is trained by `xray run` first. Run `python benchmarks/hostile.py`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil
import side_by_side
from hostile_files import write_hostile
from side_by_side import Options, Row, alternate, answer, scans_of

PROJECT = Path(__file__).parent.parent
SEED = 0
EVERY = 0.2
"""Seconds between two looks at the memory."""


def main() -> None:
    """Measure and print."""
    side_by_side.run(measure, side_by_side.parser(__doc__).parse_args())


def measure(options: Options) -> list[Row]:
    """Score both inboxes in turn, each time into a new folder."""
    phantoms = options.phantoms(options.pick(40, 300, 3000), (64, 64) if options.size == "tiny" else (224, 224))
    work = options.work / "hostile"
    work.mkdir()
    try:
        home = _trained(options, work)
        alone, beside = work / "alone", work / "beside"
        for inbox in (alone, beside):
            shutil.copytree(phantoms / "train", inbox)
            shutil.copytree(phantoms / "test", inbox, dirs_exist_ok=True)
        count = write_hostile(beside, SEED, *((6, 300_000) if options.size == "tiny" else (8, 30_000_000)))
        found: dict[Path, list[tuple[int, int, int]]] = {alone: [], beside: []}

        def side(inbox: Path) -> float:
            seconds, memory = _scored(inbox, work / "scores", home)
            found[inbox].append((memory, *_counts(work / "scores", alone)))
            shutil.rmtree(work / "scores")
            return seconds

        seconds = alternate({"ours": lambda: side(beside), "rival": lambda: side(alone)}, options.rounds)
    finally:
        subprocess.run(["rm", "-rf", work], check=True)  # one of the folders is deeper than Python removes
    (_, scored, rejected), most = found[beside][0], {name: max(found[name])[0] / 1e6 for name in found}
    remark = f"{scored} phantoms scored, {rejected} rejects; {most[beside]:,.0f} MB at most against {most[alone]:,.0f}"
    scans = len(scans_of(phantoms))
    return [answer(f"score {scans} phantoms beside {count} hostile files", *seconds.values(), remark=remark)]


def _trained(options: Options, work: Path) -> Path:
    """Train a network as `xray run` does, and have it registered."""
    home = work / "home"
    small = ["training.epochs=1", "evaluation.bootstrap_draws=100"]
    small += ["images.height=32", "images.width=32"] if options.size == "tiny" else []
    scans = options.phantoms(80, (64, 64))
    settings = [part for setting in small for part in ("--set", setting)]
    _command("run", str(scans), "--recipe", "quick", "--home", str(home), *settings)
    return home


def _scored(inbox: Path, output: Path, home: Path) -> tuple[float, int]:
    """Score an inbox: the seconds, and the most bytes that the command and its processes held at a time."""
    began = time.perf_counter()
    memory = _command("score", str(inbox), "--output", str(output), "--home", str(home))
    return time.perf_counter() - began, memory


def _command(*arguments: str) -> int:
    """Run the command to its end; give the most bytes that it and its processes held at a time."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    most = 0
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=words, stderr=words) as run,
    ):
        while run.poll() is None:
            try:
                family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
                most = max(most, sum(process.memory_info().rss for process in family))
            except psutil.NoSuchProcess:
                pass
            time.sleep(EVERY)
        words.seek(0)
        said = words.read().decode("utf-8", "replace").strip()
    if run.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])} ended with {run.returncode}: {said[-500:]}")
    return most


def _counts(output: Path, phantoms: Path) -> tuple[int, int]:
    """Count the phantoms that have a score, each of which must, and the rejects."""
    scores = pd.concat([pd.read_parquet(path) for path in output.glob("scores-*.parquet")])
    rejects = sum(len(pd.read_parquet(path)) for path in output.glob("rejects-*.parquet"))
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in phantoms.iterdir()}
    left_out = digests - set(scores["sha256"])
    if left_out:
        raise SystemExit(f"every phantom must be scored. Received: {len(left_out)} of {len(digests)} that are not")
    return len(digests), rejects


if __name__ == "__main__":
    main()
