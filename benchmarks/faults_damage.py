"""Files of a home damaged one by one: each is damaged in turn, and what reads it is run again.

A small home of phantoms is made, one whose training was cut off after its second epoch, and a ledger of scores. Of all
pairs of a file and a damage so many are taken by lot; that file is damaged in a copy of the home, and what reads it is
run twice. A row says what was said, whether the outcome equals that of the home that nobody damaged, and whether the
second pass found all whole.

A pass calls the functions that `xray run` and `xray score` call, in a process of its own, without Prefect and MLflow,
whose start takes longer than all else.
"""

import contextlib
import logging
import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

SETTINGS = [
    "images.height=32", "images.width=32", "training.epochs=3", "training.patience=0", "training.batch_size=16",
    "training.precision=float32", "evaluation.bootstrap_draws=100",
]  # fmt: skip
HOME, CUT_OFF, LEDGER = "home", "cut-off", "ledger"
"""A finished home, one whose training was cut off, and scores; each is copied and damaged for itself."""

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
"""Of the process that trains: on a processor the outcome is the same each time."""

SKIPPED = {"lock", ".lock"}
CLOSE = 1e-3
"""Probabilities of a training that went on or was done again agree with the undamaged one's to this, and so do its
epochs' losses."""


@dataclass(frozen=True)
class Outcome:
    """What a pass over a home came to.

    Attributes:
        said: Warnings, or the error that ended it, a line each.
        result: What is compared; None where it ended with an error.
        traceback: Whether the error was none of ours.
    """

    said: list[str]
    result: dict[str, Any] | None
    traceback: bool


@dataclass(frozen=True)
class Row:
    """A damage and what became of it, a line of the table."""

    COLUMNS: ClassVar = ("file", "damage", "what was said", "equal", "said again", "traceback")

    file: str
    damage: str
    said: str
    equal: bool
    again: str
    traceback: bool

    @property
    def well(self) -> bool:
        """Whether nothing was lost: the same outcome, no traceback, and the next pass has nothing to mend."""
        return self.equal and not self.traceback and self.again == "nothing"

    def cells(self) -> tuple[str, ...]:
        """Give the row in words, in the order of `COLUMNS`."""
        equal, traceback = ("yes" if self.equal else "NO"), ("YES" if self.traceback else "no")
        return self.file, self.damage, self.said, equal, self.again, traceback


def flip(path: Path, draw: random.Random) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut(path: Path, draw: random.Random) -> None:
    """Lose the end."""
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(max(1, len(content)))])


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "cut": cut,
    "bit flipped": flip,
    "emptied": lambda path, _: path.write_bytes(b""),
    "removed": lambda path, _: path.unlink(),
    "text": lambda path, _: path.write_text("this is something else\n", encoding="utf-8"),
}


def damaged(work: Path, number: int, seed: int) -> Iterator[Row]:
    """Damage so many files, each in a copy of its home, and give what became of each.

    Args:
        work: A folder for the homes.
        number: How many damages; all there are, if those are fewer.
        seed: Draws them.
    """
    os.environ |= QUIET
    with _Passes() as passes:
        whole = {name: passes.run(name, work) for name in (HOME, CUT_OFF, LEDGER)}
        faulty = [outcome.said for outcome in whole.values() if outcome.result is None]
        if faulty:
            raise SystemExit(f"the homes could not be made: {faulty[0]}")
        for name in whole:  # as they were before the pass that finishes them
            shutil.rmtree(work / name, ignore_errors=True)
            shutil.copytree(work / f"{name}-before", work / name)
        pairs = [(name, file, damage) for name in whole for file in _files(work / name) for damage in DAMAGES]
        for name, file, damage in random.Random(seed).sample(pairs, min(number, len(pairs))):
            copy = work / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            (copy / name).parent.mkdir()
            shutil.copytree(work / name, copy / name)
            (copy / "scans").symlink_to(work / "scans")
            DAMAGES[damage](copy / name / file, random.Random(f"{seed} {file} {damage}"))
            first = passes.run(name, copy)
            again = passes.run(name, copy)
            yield Row(
                f"{name}/{_short(file)}", damage, "; ".join(first.said) or "nothing",
                _equal(first.result, whole[name].result), "; ".join(again.said) or "nothing",
                first.traceback or again.traceback,
            )  # fmt: skip


class _Passes:
    """Runs passes in a process of their own, which a damaged file might end."""

    def __enter__(self) -> "_Passes":
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, name: str, work: Path) -> Outcome:
        try:
            return self._pool.submit(_pass, name, work).result()
        except BrokenProcessPool:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"))
            return Outcome(["its process died"], None, traceback=True)


class _Said(logging.Handler):
    """Keeps warnings, as a command would print them."""

    def __init__(self, home: Path) -> None:
        super().__init__(logging.WARNING)
        self.home, self.lines = home, list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().replace(f"{self.home}/", ""))


def _pass(name: str, work: Path) -> Outcome:
    """Do what a command does over a home, in the process that calls it."""
    from xray.errors import XrayError

    said, log = _Said(work / name), logging.getLogger("xray")
    log.addHandler(said)
    log.propagate = False
    try:
        result = _scored(work / name, work) if name == LEDGER else _run(name, work)
        return Outcome(said.lines, result, traceback=False)
    except XrayError as error:
        return Outcome([*said.lines, f"xray: {error}".replace(f"{work / name}/", "")], None, traceback=False)
    except Exception:  # noqa: BLE001 - what is looked for here
        return Outcome([*said.lines, traceback.format_exc().strip().splitlines()[-1]], None, traceback=True)
    finally:
        log.removeHandler(said)


def _run(name: str, work: Path) -> dict[str, Any]:
    """Take the steps of `xray run`; the first time, keep the home as it is to be damaged beside it."""
    from xray.config import Workspace, load_config
    from xray.data.phantoms.write_phantoms import write_phantoms
    from xray.data.prepare import clean, normalize, write_prepared
    from xray.evaluation.evaluate import evaluate
    from xray.evaluation.inspection.inspect import inspect
    from xray.training.fit import train
    from xray.training.history import History, StoppedTraining
    from xray.training.training_digest import training_digest

    if not (work / "scans").exists():
        write_phantoms(work / "scans", 120, seed=0, size=(48, 48))
        for path in (work / "scans").rglob("*"):
            os.utime(path, (0, 0))  # long ago, or their digests would not be remembered
    home, before = work / name, work / f"{name}-before"
    first = not home.exists()
    config, workspace = load_config("quick", SETTINGS), Workspace(home=home)
    cleaned = clean((work / "scans").resolve(), workspace)
    store = normalize(cleaned, config, workspace).store
    catalog = write_prepared(cleaned, store, config, workspace)
    folder = workspace.trainings / training_digest(catalog, config)

    def cut_off(history: History) -> None:
        if len(history.epochs) == 2:
            raise StoppedTraining

    if first and name == CUT_OFF:
        with contextlib.suppress(StoppedTraining):
            train(catalog, store, config, folder, [cut_off])
        shutil.copytree(home, before)
    trained = train(catalog, store, config, folder)
    evaluated = evaluate(trained, catalog, store, config)
    seen = inspect(trained, evaluated, catalog, store, config)
    if first and name == HOME:
        shutil.copytree(home, before)
    return {
        "catalog": catalog.digest,
        "rows": catalog.rows().to_csv(index=False),
        "rejects": catalog.rejects().to_csv(index=False),
        "losses": [epoch.val_loss for epoch in trained.history().epochs],
        "p": evaluated.scores()["p_pneumonia"].tolist(),
        "evaluation": sorted(evaluated.report()["metrics"]),
        "inspection": sorted(seen.report()["metrics"]),
        "pictures": sorted(path.name for path in [*evaluated.plots(), *seen.plots()]),
    }


def _scored(ledger: Path, work: Path) -> dict[str, Any]:
    """Do what `xray score` does with a ledger: find what is known, score what is not, join; no model is asked."""
    from datetime import UTC, datetime

    from xray.scoring.score_ledger import opened, unlogged

    names = [f"{number:064x}" for number in range(200)]
    about = {"model_version": "m/1", "scored_at": datetime.now(UTC), "decision": "pneumonia", "threshold": 0.5}
    halves = [names] if ledger.exists() else [names[:150], names]
    for half in halves:
        with opened(ledger) as decision_log:
            known = decision_log.known(names)
            new = [name for name in half if name not in known]
            if new:
                rows = [{"image": f"{name[-4:]}.png", "sha256": name, "p_pneumonia": 0.5, **about} for name in new]
                decision_log.add(rows)
            if len(halves) == 2 and half is names:
                break  # killed before it joins: a part is left
            decision_log.join()
    if len(halves) == 2:
        shutil.copytree(ledger, work / f"{LEDGER}-before")
        return _scored(ledger, work)
    entries = unlogged(ledger)
    with opened(ledger) as decision_log:
        return {
            "known": sorted(decision_log.known(names)),
            "counted": sum(entry.scans for entry in entries) >= len(names),
        }


def _files(home: Path) -> list[str]:
    """List a home's own files, in a settled order; of pictures and shards of one folder the first alone."""
    found = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*")) if path.is_file()]
    kept, seen = [], set()
    for name in found:
        path = Path(name)
        group = (path.parent, path.suffix) if path.suffix == ".png" else name
        if path.name not in SKIPPED and group not in seen:
            kept.append(name)
        seen.add(group)
    return kept


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_equal(found[name], expected[name]) for name in found)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_equal, found, expected))
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= CLOSE
    return bool(found == expected)


def _short(file: str) -> str:
    return "/".join(part if len(part) < 24 else f"{part[:10]}…{part[-8:]}" for part in Path(file).parts)
