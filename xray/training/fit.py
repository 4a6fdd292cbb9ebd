"""Train a network, continue an interrupted training, or find a finished one, which needs no TensorFlow."""

import logging
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.config import Config
from xray.data.catalog import Catalog
from xray.data.store.pixel_store import PixelStore
from xray.errors import DamagedError, TrainingError
from xray.files.artifact_folder import MANIFEST, adopt, kept_json, require_readable, require_whole
from xray.files.checked_io import ASIDE, reading, set_aside, writing
from xray.files.lock import locked
from xray.keras_import import quiet_import
from xray.training.checkpoint import drop_checkpoints
from xray.training.history import HISTORY, MODEL, History, OnEpoch

log = logging.getLogger(__name__)

LOCK = "lock"


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
        """The network file, as `architectures.build` says, in float32, compared with what was written.

        Raises:
            DamagedError: It is not what was written; as for the history.
        """
        require_whole(self.folder, (MODEL,), lambda: _prove(self.folder))
        return self.folder / MODEL

    def history(self) -> History:
        """Read the epochs."""
        with reading(self.folder / HISTORY):
            return History.from_dict(self.history_values())

    def history_values(self) -> dict[str, Any]:
        """Read what the history's file holds: `History.to_json` and whether the training `stopped_early`."""
        return kept_json(self.folder, HISTORY, lambda: _prove(self.folder))


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
        if not is_finished(folder):
            with quiet_import():
                from xray.training.epochs import train_to_the_end
            with session():
                trained_epochs = train_to_the_end(catalog, store, config, folder, on_epoch)
        drop_checkpoints(folder)  # The article's are 965 MB each.
    return Trained(folder, folder.name, trained_epochs)


def is_finished(folder: Path, exactly: bool = False) -> bool:
    """Say whether a training folder holds a whole network; what is damaged is set aside, with all that was made of it.

    A training of an older version is taken for whole if its network's archive agrees with its own checksums.

    Args:
        folder: A training folder that is the caller's alone.
        exactly: Whether the very same network will be made again, for which evaluations and MLflow's run stay.

    Raises:
        StoreError: The disk does not give it, or what is damaged could not be renamed.
    """
    if not (folder / MANIFEST).exists() and not all((folder / name).exists() for name in (MODEL, HISTORY)):
        return False
    try:
        if not (folder / MANIFEST).exists():  # lost, or a kill came before it: both files were whole by then
            adopt(folder, _prove(folder))
        require_whole(folder, (MODEL, HISTORY), lambda: _prove(folder))
    except DamagedError as damage:
        if damage.path == folder / MANIFEST:
            set_aside(damage.path, damage.reason, "it is written again if the network is intact")
            return is_finished(folder, exactly)
        _set_aside(folder, damage, (MODEL, HISTORY, MANIFEST) if exactly else None)
        return False
    return True


def _prove(folder: Path) -> tuple[str, ...]:
    require_readable(folder / MODEL)
    History.read(folder / HISTORY)
    return MODEL, HISTORY


def _set_aside(folder: Path, damage: DamagedError, names: Collection[str] | None) -> None:
    """Move files away; without names all but the lock, and checkpoints that a kill left, where training goes on."""
    lost = folder / f"lost{ASIDE}"
    with writing(f"the training folder {folder}"):
        shutil.rmtree(lost, ignore_errors=True)
        lost.mkdir()
        for path in folder.iterdir():
            stays = path.name in (LOCK, lost.name) or path.name.startswith("epoch-") or path.suffix == ASIDE
            if path.name in names if names is not None else not stays:
                path.rename(lost / path.name)
    then = "it is created again" if names else "the training is repeated"
    log.warning(
        "%s is damaged and was moved to %s; %s: %s", damage.path, lost.name, then, damage.reason_in(damage.path)
    )


@contextmanager
def _only_trainer(folder: Path) -> Iterator[None]:
    taken = TrainingError(f"only one process at a time can train in a training folder. Received: {folder} is in use")
    with ExitStack() as held:
        with writing(f"the training folder {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / LOCK, taken))
        yield
