"""The child of `scoring`: one model in a process that can import the model's own copy of `xray`, and never ours.

Run by its path with `python -I`, not imported. It reads a JSON list of file paths a line, and answers each with one
line of JSON: a row a file, as the model answered, and the `sha256` of the bytes that it was given. It ends, whatever it
does, when its standard input ends, so that a parent that was killed leaves nobody behind.
"""

import hashlib
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
    batches: SimpleQueue[list[str]] = SimpleQueue()
    threading.Thread(target=_read, args=(batches,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints
    sys.path[:] = [place for place in sys.path if not (Path(place) / "xray").is_dir()]
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    while True:
        answers.write(json.dumps(_scored(model, batches.get())) + "\n")
        answers.flush()


def _read(batches: "SimpleQueue[list[str]]") -> None:
    for line in sys.stdin:
        batches.put(json.loads(line))
    os._exit(0)


def _scored(model: Any, paths: list[str]) -> list[dict[str, Any]]:
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
    return rows


if __name__ == "__main__":
    main(sys.argv[1])
