"""The child of `scoring`: one model in a process that can import the model's own copy of `xray`, and never ours.

Run by its path with `python -I`, not imported. It reads a JSON list of file paths a line, and answers each with one
line of JSON: a row a file, as the model answered, and the `sha256` of the bytes that it was given. An object with such
a list as `files` and a path as `maps` is answered likewise, once the evidence in these files is mapped in that file. It
ends, whatever it does, when its standard input ends, so that a parent that was killed leaves nobody behind.
"""

import hashlib
import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any


def main(folder: str) -> None:
    """Load the model in a folder and answer batches until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    batches: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(batches,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints
    sys.path[:] = [place for place in sys.path if not (Path(place) / "xray").is_dir()]
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    while True:
        answers.write(json.dumps(_answered(model, batches.get())) + "\n")
        answers.flush()


def _read(batches: "SimpleQueue[Any]") -> None:
    for line in sys.stdin:
        batches.put(json.loads(line))
    os._exit(0)


def _answered(model: Any, asked: Any) -> list[dict[str, Any]]:
    if isinstance(asked, list):
        return _scored(model, asked)[0]
    rows, files = _scored(model, asked["files"])
    scans = [data for row, data in zip(rows, files, strict=True) if row["error"] is None]
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


def _scored(model: Any, paths: list[str]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Give a row a file, and the bytes of each."""
    import pandas as pd

    files: list[bytes] = []
    errors: dict[int, str] = {}
    for place, path in enumerate(paths):
        try:
            files.append(Path(path).read_bytes())
        except OSError as error:
            files.append(b"")
            errors[place] = f"unreadable: {error.strerror}"
    rows: list[dict[str, Any]] = model.predict(pd.DataFrame({"image": files})).to_dict("records")
    for place, row in enumerate(rows):
        row["error"] = errors.get(place, row["error"])
        row["sha256"] = None if place in errors else hashlib.sha256(files[place]).hexdigest()
    return rows, files


if __name__ == "__main__":
    main(sys.argv[1])
