"""Train a network, take up a training where it was cut off, or find a finished one, which takes no TensorFlow."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from xray.config import Config
from xray.data.catalog import Catalog
from xray.data.store import PixelStore
from xray.errors import StoreError, TrainingError
from xray.libraries import quiet_import
from xray.training.checkpoint import drop_checkpoints
from xray.training.history import History

OnEpoch = Callable[[History], None]
"""Called after each epoch that was saved, with all epochs so far. It may raise `StoppedTraining`."""


class StoppedTraining(Exception):
    """Ends a training before its time, which is no failure; its last checkpoint stays."""


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        folder: Holds `model.keras` (float32, best weights), `history.json` and `manifest.json`.
        digest: Names the folder; depends on the scans, their labels and split, and the training's configuration.
        trained_epochs: Epochs that this call trained; 0 when all was there already.
    """

    folder: Path
    digest: str
    trained_epochs: int

    @property
    def model(self) -> Path:
        """The network file, as `architectures.build` says, in float32."""
        return self.folder / "model.keras"

    def history(self) -> History:
        """Read the epochs."""
        return History.from_json(json.loads((self.folder / "history.json").read_text(encoding="utf-8")))


def train(
    catalog: Catalog,
    store: PixelStore,
    config: Config,
    folder: Path,
    on_epoch: Sequence[OnEpoch] = (),
    session: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Trained:
    """Train to the end, from the last finished epoch if there is one.

    Args:
        catalog: The scans, with labels and splits. TEST scans are not looked at.
        store: Their pixels.
        config: The whole configuration.
        folder: The training folder, named by `training_digest`.
        on_epoch: Called in turn after each saved epoch, and once before the first one when earlier ones were found.
        session: Entered once the folder is this trainer's alone and something is left to train, and left at the end.

    Returns:
        The finished training. Killed and called again, it ends on a processor with the same history, to rounding.

    Raises:
        TrainingError: Another trainer works in this folder, there are fewer training scans than a batch, or a batch
            cannot be shared out evenly.
        DivergedError: The loss is no number.
        StoreError: The folder could not be written, or a scan not be read.
        StoppedTraining: `on_epoch` ended it.
        KeyboardInterrupt: Ctrl-C came, at most a batch ago.
    """
    trained_epochs = 0
    with _only_trainer(folder):
        if not (folder / "manifest.json").is_file():
            with quiet_import():
                from xray.training.epochs import train_to_the_end
            with session():
                trained_epochs = train_to_the_end(catalog, store, config, folder, on_epoch)
        drop_checkpoints(folder)  # The article's are 965 MB each.
    return Trained(folder, folder.name, trained_epochs)


@contextmanager
def _only_trainer(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise TrainingError(
            f"one trainer at a time may work in a training folder. Received: {folder} is in use"
        ) from error
    except OSError as error:
        raise StoreError(f"the training folder {folder} must be writable and have room. Received: {error}") from error
    try:
        yield
    finally:
        lock.release()
