"""A scoring process that survives bad files: a file that crashes it becomes a reject, and the others are scored."""

import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from xray.data.decoding import scan_files
from xray.errors import ImageError, RegistryError
from xray.files.digest import stream_sha256
from xray.scoring.model_process import ModelProcess, ModelProcessEnded

log = logging.getLogger(__name__)

BATCH_SECONDS = 600.0
"""How long a batch may take. What `bounds` lets pass is decoded in seconds; what it overlooks ends here."""

FILE_SECONDS = 120.0
"""How long a file may take that is scored alone, since its batch took too long or ended the child."""


class RestartingModelProcess:
    """A child, started again where it ends.

    It ends for a file's sake where it ends again with that file alone, while the next one answers on a picture of ours.
    """

    def __init__(self, model: Path, threads: int, scratch: Path) -> None:
        """Start it, as `ModelProcess` is started.

        Raises:
            RegistryError: The system starts no process more.
        """
        self._about = (model, threads, scratch)
        self._asked: deque[Sequence[Path]] = deque()
        self._killed = False
        self._child = ModelProcess(*self._about)

    def ask(self, files: Sequence[Path]) -> None:
        """Hand over a batch.

        Raises:
            RegistryError: The model could not be loaded.
        """
        self._asked.append(files)
        with contextlib.suppress(ModelProcessEnded):  # the answer finds out
            self._child.ask(files)

    def answer(self) -> pd.DataFrame:
        """Wait for the batch that was handed over first.

        Raises:
            RegistryError: The model could not be loaded, or answers on no file any more.
        """
        files = self._asked.popleft()
        try:
            return self._child.answer(BATCH_SECONDS)
        except ModelProcessEnded as error:
            log.warning("%d files are scored one by one: %s", len(files), error)
            self._start_again(error)
        rows = pd.concat([self._alone(file) for file in files], ignore_index=True)
        for batch in self._asked:
            self._child.ask(batch)
        return rows

    def kill(self) -> None:
        """End it for good, from any thread; one that waits for an answer is told so."""
        self._killed = True
        self._child.kill()

    def close(self) -> None:
        """End it, and wait for its end."""
        self._child.close()

    def _alone(self, file: Path) -> pd.DataFrame:
        try:
            self._child.ask([file])
            return self._child.answer(FILE_SECONDS)
        except ModelProcessEnded as error:
            self._start_again(error)
            return self._refused(file, error)

    def _start_again(self, error: RegistryError) -> None:
        self._child.close()
        if self._killed:
            raise error
        self._child = ModelProcess(*self._about)

    def _refused(self, file: Path, error: RegistryError) -> pd.DataFrame:
        """Make a file's reject of the answer on a picture of ours; without one, it is not the file's doing."""
        from xray.models.package import example_image

        control = self._about[2] / "control.png"
        control.write_bytes(example_image())
        self._child.ask([control])
        row = self._child.answer(FILE_SECONDS)
        why = str(error).rpartition("Received: ")[2]
        log.warning("a file, which the rejects name, cannot be read: %s", why)
        # Whatever its columns are called: a model kept by older code answers with others.
        answered = [name for name in row.columns if name not in ("threshold", "model_version")]
        nothing = {name: np.nan if name.startswith("p_") else None for name in answered}
        said = f"unreadable: a scan must not crash or block the process that reads it. Received: {why}"
        return row.assign(**{**nothing, "error": said, "sha256": _digest(file)})


def _digest(file: Path) -> str | None:
    try:
        with scan_files.opened(file) as content:
            return stream_sha256(content)
    except (OSError, ImageError):
        return None
