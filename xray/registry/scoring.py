"""A model in processes of its own: many files scored on all cores, by the code that the model was kept with.

Each child is `alone.py`, started by its path, so it never has our `xray`: two versions of the model are told apart by
their own code, and TensorFlow's threads stay out of this process.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO

import mlflow.artifacts
import pandas as pd
from mlflow.exceptions import MlflowException

from xray.config import Places
from xray.data.decoding import cores
from xray.errors import RegistryError
from xray.registry.scorer import COLUMNS
from xray.registry.store import first_line, store_of

ALONE = Path(__file__).with_name("alone.py")
BATCH = 32
"""Scans that a child is handed at a time."""

MOST_CHILDREN = 4
SCANS_A_CHILD = 2048
"""Fewest scans that are worth another child: TensorFlow takes seconds of a core to start, and one child already spreads
each step over the cores. docs/score-new-scans.md has the measurement."""

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "DO_NOT_TRACK": "true"}
"""Of a child: several share a GPU where there is one."""


@contextmanager
def fetched(places: Places, uri: str) -> Iterator[Path]:
    """Have a model's folder on this disk for as long as the block lasts.

    Args:
        places: Where MLflow's store lies.
        uri: A registered or logged model's address, which is downloaded, or a folder, which is taken as it is.

    Raises:
        RegistryError: There is no such model, or the store cannot be reached.
    """
    if Path(uri).is_dir():
        yield Path(uri)
        return
    store = store_of(places)
    with tempfile.TemporaryDirectory(prefix="xray-model-") as scratch:
        with store.current():
            try:
                folder = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch)
            except (MlflowException, OSError) as error:
                raise RegistryError(f"model {uri} must be loadable. Received: {first_line(error)}") from error
        yield Path(folder)


def score_alone(model: Path, files: Sequence[Path], progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
    """Score image files with a model in processes of its own.

    Args:
        model: The folder of an MLflow pyfunc, as `fetched` gives it.
        files: Image files.
        progress: Called with (files done, of how many).

    Returns:
        A row a file, in order: `scorer.COLUMNS` and `sha256`, the digest of the bytes that were scored. Of a file that
        cannot be read, or is no scan, `p_pneumonia` is null and `error` says why.

    Raises:
        RegistryError: A child could not load the model, or died.
    """
    parts = [pd.DataFrame(columns=[*COLUMNS, "sha256"])] if not files else []
    done = 0
    with closing(scores(model, files)) as batches:
        for part in batches:
            parts.append(part)
            done += len(part)
            if progress is not None:
                progress(done, len(files))
    return pd.concat(parts, ignore_index=True)


def scores(model: Path, files: Sequence[Path], children: int | None = None) -> Generator[pd.DataFrame, None, None]:
    """Score image files as `score_alone` does, a batch at a time, so that memory stays flat.

    Args:
        model: The folder of an MLflow pyfunc.
        files: Image files.
        children: Processes; None takes one for `SCANS_A_CHILD` scans, as far as there are cores.

    Yields:
        Rows of up to `BATCH` files, in order.

    Raises:
        RegistryError: A child could not load the model, or died.
    """
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    if not batches:
        return
    wanted = children or min(cores(), MOST_CHILDREN, -(-len(files) // SCANS_A_CHILD))
    with ExitStack() as ends:
        scratch = ends.enter_context(tempfile.TemporaryDirectory(prefix="xray-scoring-"))
        pool = [_Child(model, max(1, cores() // wanted), Path(scratch)) for _ in range(wanted)]
        for child in pool:
            ends.callback(child.close)
        waiting: deque[_Child] = deque()
        for number, batch in enumerate(batches):
            child = pool[number % wanted]
            child.ask(batch)
            waiting.append(child)
            # Two batches a child, so that none waits; their answers fit a pipe's buffer, so that none blocks.
            if len(waiting) >= 2 * wanted:
                yield waiting.popleft().answer()
        while waiting:
            yield waiting.popleft().answer()


class _Child:
    """A process that scores, one batch after the other; its own words are kept back unless it fails."""

    def __init__(self, model: Path, threads: int, scratch: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed with the child
        environment = os.environ | QUIET | {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1"}
        command = [sys.executable, "-I", str(ALONE), str(model.absolute())]
        self._process = subprocess.Popen(
            command, cwd=scratch, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def ask(self, files: Sequence[Path]) -> None:
        """Hand over a batch."""
        line = json.dumps([str(path.absolute()) for path in files]).encode() + b"\n"
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
        numbers = [name for name in rows.columns if name == "threshold" or name.startswith("p_")]
        return rows.astype(dict.fromkeys(numbers, "float64"))

    def close(self) -> None:
        """End it, and wait for its end."""
        self._process.kill()
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
