"""A model in a process of its own, handed batches of files one after the other.

The process is `model_process_main.py`, started by its path, so it never has our `xray`: two versions of the model are
told apart by their own code, and TensorFlow's threads stay out of this process.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pandas as pd

from xray.errors import RegistryError, by_cause

READY = b"ready\n"
MAIN = Path(__file__).with_name("model_process_main.py")

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "DO_NOT_TRACK": "true"}
"""Of a child: several share a GPU where there is one."""


RENAMED = {"label": "likeliest_class"}
"""Columns that models kept by older code name in another way: the likeliest class was called a label."""


class ModelProcessEnded(RegistryError):
    """A child that had loaded its model and ended at work, or was ended: what it was given may be why."""


class ModelProcess:
    """A process that scores, one batch after the other; its own words are kept back unless it fails."""

    def __init__(self, model: Path, threads: int, scratch: Path) -> None:
        """Start it.

        Args:
            model: The folder of an MLflow pyfunc.
            threads: Threads that TensorFlow spreads a step over.
            scratch: A folder to run in, with nothing of ours in it.

        Raises:
            RegistryError: The system starts no process more.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed with the child
        # A model may have been kept by code that still takes the user's own settings of Keras.
        others = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
        keras = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(scratch / "keras")}
        environment = others | QUIET | keras | {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1"}
        command = [sys.executable, "-I", str(MAIN), str(model.absolute())]
        self._loaded = self._late = False
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command, cwd=scratch, env=environment, stdin=pipe, stdout=pipe, stderr=self._errors
            )
        except OSError as error:
            self._errors.close()
            words = f"a model must run in a separate process. Received: {error.strerror}"
            raise by_cause(RegistryError, words, error) from error

    def ask(self, files: Sequence[Path], maps: Path | None = None) -> None:
        """Hand over a batch.

        Args:
            files: Image files.
            maps: A new .npz file that shall hold, once the answer is there, `pixels`, uint8 (n, height, width), and
                `maps`, float32 (n, height, width), of those that are scans; it is not written where none is.

        Raises:
            RegistryError: It could not load the model.
            ChildEnded: It ended later.
        """
        names = [str(path.absolute()) for path in files]
        asked = names if maps is None else {"files": names, "maps": str(maps.absolute())}
        line = json.dumps(asked).encode() + b"\n"
        try:
            _pipe(self._process.stdin).write(line)
            _pipe(self._process.stdin).flush()
        except OSError as error:
            raise self._failure() from error

    def answer(self, seconds: float) -> pd.DataFrame:
        """Wait for the batch that was handed over first.

        Args:
            seconds: How long it may take once the model is loaded; then the process is ended.

        Raises:
            RegistryError: It could not load the model.
            ChildEnded: It ended later, or did not answer in time.
        """
        if not self._loaded:
            self._line()
            self._loaded = True
        watch = threading.Timer(seconds, self._end_late)
        watch.daemon = True
        watch.start()
        try:
            line = self._line()
        finally:
            watch.cancel()
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

    def _line(self) -> bytes:
        line = _pipe(self._process.stdout).readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        return line

    def _end_late(self) -> None:
        self._late = True
        self.kill()

    def _failure(self) -> RegistryError:
        code = self._process.wait()
        self._loaded = self._loaded or _pipe(self._process.stdout).readline() == READY
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        reason = words[-1] if words and code >= 0 else f"its process ended with {code}"
        if self._late:
            reason = "no answer in time"
        kind = ModelProcessEnded if self._loaded else RegistryError
        return kind(f"a model must run in a separate process. Received: {reason}")


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Give an end of a pipe, which a process that was started with pipes has."""
    if end is None:
        raise RegistryError("a scoring process must have pipes. Received: none")
    return end
