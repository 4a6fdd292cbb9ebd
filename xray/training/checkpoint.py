"""One folder an epoch, renamed into place: whatever a kill leaves behind, the newest one is whole."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xray.errors import StoreError
from xray.training.history import History

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Checkpoint:
    """The state at the end of an epoch.

    Attributes:
        folder: `epoch-NNNN/` with `state.keras` (weights and optimizer), `best.keras` and `history.json`.
    """

    folder: Path

    @property
    def state(self) -> Path:
        """The network as it was at the end of this epoch, with its optimizer."""
        return self.folder / "state.keras"

    @property
    def best(self) -> Path:
        """The network at the end of the best epoch so far."""
        return self.folder / "best.keras"

    def history(self) -> History:
        """Read the epochs so far."""
        return History.from_json(json.loads((self.folder / "history.json").read_text(encoding="utf-8")))


def newest_checkpoint(training: Path) -> Checkpoint | None:
    """Find the last finished epoch, and clear away what an interrupted one left.

    Args:
        training: A training folder.
    """
    for draft in training.glob("epoch-*.tmp"):
        shutil.rmtree(draft, ignore_errors=True)
    folders = sorted(training.glob("epoch-*"), key=lambda folder: int(folder.name.removeprefix("epoch-")))
    return Checkpoint(folders[-1]) if folders else None


def drop_checkpoints(training: Path, but: Path | None = None) -> None:
    """Remove every checkpoint, also those that an interrupted removal left.

    Args:
        training: A training folder.
        but: The one to keep, if any.
    """
    for folder in training.glob("epoch-*"):
        if folder != but:
            shutil.rmtree(folder, ignore_errors=True)


def save_checkpoint(training: Path, network: "keras.Model", history: History) -> Checkpoint:
    """Keep the state after the last epoch of `history`, and drop those before.

    Args:
        training: A training folder.
        network: The compiled network, with its optimizer.
        history: The epochs so far; the last one has just ended.

    Raises:
        StoreError: It could not be written; the checkpoint before is still there.
    """
    before = newest_checkpoint(training)
    number = history.epochs[-1].epoch
    draft = training / f"epoch-{number:04d}.tmp"
    try:
        draft.mkdir()
        network.save(draft / "state.keras")
        # A link, not a copy: the article's state is 965 MB.
        best = draft / "state.keras" if before is None or history.best_epoch == number else before.best
        os.link(best, draft / "best.keras")
        (draft / "history.json").write_text(json.dumps(history.to_json(), indent=2), encoding="utf-8")
        folder = draft.rename(training / f"epoch-{number:04d}")
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StoreError(f"the training folder {training} must be writable and have room. Received: {error}") from error
    drop_checkpoints(training, but=folder)
    return Checkpoint(folder)
