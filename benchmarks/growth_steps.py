"""One step of `growth.py`, in a process of its own: its time, and the process's most memory."""

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPE = "quick"
STREAMED = ["training.memory_budget_mb=0", "training.epochs=2"]

Spent = tuple[float, float]
"""Seconds, elapsed and of the processor."""


@dataclass(frozen=True)
class Cost:
    """What a step cost.

    Attributes:
        seconds: Elapsed, a scan.
        processor: Seconds of all threads, a scan.
        peak: The process's most memory, megabytes.
        start: The same before the step, with all libraries loaded.
    """

    seconds: float
    processor: float
    peak: float
    start: float


def main() -> None:
    """Take a step with a handful of scans, and then with those that are asked about; print what it cost as JSON."""
    step, (few, scans, home) = sys.argv[1], map(Path, sys.argv[2:])
    take = {"clean": _clean, "normalize": _normalize, "prepare": _prepare, "epoch": _epoch}[step]
    take(few, home / "few")
    start = _peak()
    (elapsed, processor), count = take(scans, home)
    print(json.dumps(vars(Cost(elapsed / count, processor / count, _peak(), start))))


def _clean(scans: Path, home: Path) -> tuple[Spent, int]:
    from xray.config import Workspace
    from xray.data.prepare import clean

    began = _now()
    cleaned = clean(scans, Workspace(home=home))
    return _since(began), cleaned.scans


def _normalize(scans: Path, home: Path) -> tuple[Spent, int]:
    from xray.config import Workspace, load_config
    from xray.data.prepare import normalize

    cleaned, config = _cleaned(scans, home), load_config(RECIPE)
    began = _now()
    normalize(cleaned, config, Workspace(home=home))
    return _since(began), cleaned.scans


def _prepare(scans: Path, home: Path) -> tuple[Spent, int]:
    from xray.config import Workspace, load_config
    from xray.data.prepare import write_prepared

    cleaned, store, config = _cleaned(scans, home), _store(home), load_config(RECIPE)
    began = _now()
    write_prepared(cleaned, store, config, Workspace(home=home))
    return _since(began), cleaned.scans


def _epoch(scans: Path, home: Path) -> tuple[Spent, int]:
    """Train two epochs, for the first one builds the graph, and count the second: validation and checkpoint, too."""
    from xray.config import Workspace, load_config
    from xray.data.catalog import Catalog
    from xray.training.fit import train

    workspace, config = Workspace(home=home), load_config(RECIPE, STREAMED)
    folder = _only(workspace.prepared)
    catalog = Catalog(folder, folder.name, scans, reused=True)
    ends: list[Spent] = []
    train(catalog, _store(home), config, workspace.trainings / "growth", on_epoch=[lambda _: ends.append(_now())])
    spent = (ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
    return spent, sum(len(catalog.rows(split)) for split in ("train", "validation"))


def _cleaned(scans: Path, home: Path) -> Any:
    """Find what an earlier process has cleaned."""
    from xray.config import Workspace
    from xray.data.prepare import Cleaned

    folder = _only(Workspace(home=home).cleaned)
    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["rows"]
    return Cleaned(folder, folder.name, scans, rows, private=False, reused=True)


def _store(home: Path) -> Any:
    from xray.config import Workspace
    from xray.data.store.pixel_store import PixelStore

    return PixelStore.open(_only(Workspace(home=home).pixels))


def _only(folder: Path) -> Path:
    (only,) = folder.iterdir()
    return only


def _now() -> Spent:
    return time.perf_counter(), time.process_time()


def _since(began: Spent) -> Spent:
    elapsed, processor = _now()
    return elapsed - began[0], processor - began[1]


def _peak() -> float:
    """Give this process's most memory so far, in megabytes.

    On Linux, `ru_maxrss` begins with the peak of the process that started this one, and VmHWM does not.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


if __name__ == "__main__":
    main()
