"""The child of `scoring`: one model in a process that can import the model's own copy of `xray`, and never ours.

Run by its path with `python -I`, not imported. It says `ready` once the model is loaded, then reads a JSON list of file
paths a line, and answers each with one line of JSON: a row a file, as the model answered, and the `sha256` of the bytes
that it was given. An object with such a list as `files` and a path as `maps` is answered likewise, once the evidence in
these files, which nobody else changes, is mapped in that file. It ends, whatever it does, when its standard input ends,
so that a parent that was killed leaves nobody behind.

A model that was kept long ago bounds nothing, so what it is handed is bounded here, by our own `decode_limits.py`.
"""

import gc
import hashlib
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

BYTES_A_CALL = 64 * 2**20
"""Of files that the model is handed at a time, one at least: it keeps them all while it decodes them."""

LEAST_ROOM = 4 * 2**30
"""Bytes that scoring may take besides the loaded model, or half of the machine's memory where that is more."""

BOUNDS = Path(__file__).parents[1] / "data" / "decoding" / "decode_limits.py"

File = tuple[bytes, str | None, str | None]
"""Its bytes, or none where it must not be decoded; the digest of what was read; and why it must not."""


def main(folder: str) -> None:
    """Load the model in a folder and answer batches until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    batches: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(batches,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints
    sys.path[:] = [place for place in sys.path if not (Path(place) / "xray").is_dir()]
    bounds = _bounds()
    # A third of the start is the collector's, which walks what is imported again and again; all of it stays.
    gc.disable()
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    gc.freeze()
    gc.enable()
    _limit_memory()
    answers.write("ready\n")
    answers.flush()
    while True:
        answers.write(json.dumps(_answered(model, batches.get(), bounds)) + "\n")
        answers.flush()


def _read(batches: "SimpleQueue[Any]") -> None:
    for line in sys.stdin:
        batches.put(json.loads(line))
    os._exit(0)


def _answered(model: Any, asked: Any, bounds: ModuleType) -> list[dict[str, Any]]:
    if isinstance(asked, list):
        return _scored(model, asked, bounds)
    rows = _scored(model, asked["files"], bounds)
    scans = [bounds.read(path) for row, path in zip(rows, asked["files"], strict=True) if row["error"] is None]
    if scans:
        import numpy as np

        pixels, maps = _mapped(model.unwrap_python_model(), scans)
        np.savez(asked["maps"], pixels=pixels, maps=maps)
    return rows


def _mapped(scorer: Any, scans: list[bytes]) -> tuple[Any, Any]:
    """Have the model's own code map the evidence in scans."""
    if hasattr(scorer, "explain"):
        return tuple(scorer.explain(scans))
    # Kept before its scorer could: by the names that its code has for it, which ours need not have.
    import numpy as np

    normalize = importlib.import_module("xray.data.images").normalize
    pneumonia_maps = importlib.import_module("xray.evaluation.explain").pneumonia_maps
    pixels = np.stack([normalize(data, scorer._images).pixels for data in scans])
    return pixels, pneumonia_maps(scorer._model, pixels)


def _bounds() -> ModuleType:
    """Load our bounds, though `xray` is the model's here."""
    module = ModuleType("bounds")
    SourceFileLoader("bounds", str(BOUNDS)).exec_module(module)
    return module


def _limit_memory() -> None:
    """Have a file that asks for too much refused to this process, before the system ends another one for it."""
    try:
        import resource

        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except (ImportError, OSError):
        return  # not Linux
    taken = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    most, hard = taken + max(LEAST_ROOM, half), resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _scored(model: Any, paths: list[str], bounds: ModuleType) -> list[dict[str, Any]]:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for files in _calls(paths, bounds):
        answer = model.predict(pd.DataFrame({"image": [data for data, *_ in files]})).to_dict("records")
        for row, (_, digest, error) in zip(answer, files, strict=True):
            rows.append({**row, "error": error or row["error"], "sha256": digest})
    return rows


def _calls(paths: list[str], bounds: ModuleType) -> Iterator[list[File]]:
    files: list[File] = []
    size = 0
    for path in paths:
        file = _file(path, bounds)
        if files and size + len(file[0]) > BYTES_A_CALL:
            yield files
            files, size = [], 0
        files.append(file)
        size += len(file[0])
    if files:
        yield files


def _file(path: str, bounds: ModuleType) -> File:
    digest = None
    try:
        data = bounds.read(path)
        digest = hashlib.sha256(data).hexdigest()
        bounds.check(data)
    except bounds.OutOfBounds as error:
        return b"", digest, str(error)
    except OSError as error:
        return b"", None, f"unreadable: {error.strerror}"
    return data, digest, None


if __name__ == "__main__":
    main(sys.argv[1])
