"""A model in a process of its own, handed batches of files one after the other.

The process is `alone.py`, started by its path, so it never has our `xray`: two versions of the model are told apart by
their own code, and TensorFlow's threads stay out of this process.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pandas as pd

from xray.errors import RegistryError

ALONE = Path(__file__).with_name("alone.py")

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "DO_NOT_TRACK": "true"}
"""Of a child: several share a GPU where there is one."""


RENAMED = {"label": "likeliest_class"}
"""Columns that models kept by older code name in another way: the likeliest class was called a label."""


class Child:
    """A process that scores, one batch after the other; its own words are kept back unless it fails."""

    def __init__(self, model: Path, threads: int, scratch: Path) -> None:
        """Start it.

        Args:
            model: The folder of an MLflow pyfunc.
            threads: Threads that TensorFlow spreads a step over.
            scratch: An empty folder to run in.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed with the child
        # A model may have been kept by code that still takes the user's own settings of Keras.
        others = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
        keras = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(scratch / "keras")}
        environment = others | QUIET | keras | {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1"}
        command = [sys.executable, "-I", str(ALONE), str(model.absolute())]
        self._process = subprocess.Popen(
            command, cwd=scratch, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def ask(self, files: Sequence[Path], maps: Path | None = None) -> None:
        """Hand over a batch.

        Args:
            files: Image files.
            maps: A new .npz file that shall hold, once the answer is there, `pixels`, uint8 (n, height, width), and
                `maps`, float32 (n, height, width), of those that are scans; it is not written where none is.
        """
        names = [str(path.absolute()) for path in files]
        asked = names if maps is None else {"files": names, "maps": str(maps.absolute())}
        line = json.dumps(asked).encode() + b"\n"
        try:
            _pipe(self._process.stdin).write(line)
            _pipe(self._process.stdin).flush()
        except OSError as error:
            raise self._failure() from error

    def answer(self) -> pd.DataFrame:
        """Wait for the batch that was handed over first."""
        line = _pipe(self._process.stdout).readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        rows = pd.DataFrame(json.loads(line), dtype=object)  # or a missing error would be a NaN beside others' words
        rows = rows.rename(columns=RENAMED)
        numbers = [name for name in rows.columns if name == "threshold" or name.startswith("p_")]
        return rows.astype(dict.fromkeys(numbers, "float64"))

    def kill(self) -> None:
        """End it, from any thread; one that waits for an answer is told that it died."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait for its end."""
        self.kill()
        self._process.communicate()
        self._errors.close()

    def _failure(self) -> RegistryError:
        code = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        reason = words[-1] if words and code >= 0 else f"its process ended with {code}"
        return RegistryError(f"a model must score in a process of its own. Received: {reason}")


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Give an end of a pipe, which a process that was started with pipes has."""
    if end is None:
        raise RegistryError("a scoring process must have pipes. Received: none")
    return end
