"""One folder an epoch, renamed into place: whatever a kill leaves behind, the newest one is whole.

The one before is kept, and shares no byte with the newest: a training whose newest checkpoint is damaged goes on from
there.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xray.errors import DamagedError
from xray.files.artifact_folder import MANIFEST, adopt, digests_of, require_readable, require_whole, seal
from xray.files.atomic import clear_drafts, whole_folder
from xray.files.checked_io import set_aside, write_json, writing
from xray.training.history import History

if TYPE_CHECKING:
    import keras

KEPT = 2
"""Checkpoints that stay while a training goes on."""

BEST = "best.keras"

_NAME = re.compile(r"epoch-(\d{4,})")


@dataclass(frozen=True)
class Checkpoint:
    """The state at the end of an epoch.

    Attributes:
        folder: `epoch-NNNN/` with `state.keras` (weights and optimizer), `history.json`, a manifest and, where an
            earlier epoch was better, `best.keras`.
    """

    folder: Path

    @property
    def state(self) -> Path:
        """The network as it was at the end of this epoch, with its optimizer."""
        return self.folder / "state.keras"

    @property
    def best(self) -> Path:
        """The network at the end of the best epoch so far, which may be this one."""
        kept = self.folder / BEST
        return kept if kept.exists() else self.state

    def history(self) -> History:
        """Read the epochs so far.

        Raises:
            DamagedError: They are not what was written.
        """
        return History.read(self.folder / "history.json")

    def require_whole(self) -> None:
        """Compare its files with what was written: a damaged state may end the process that loads it.

        Raises:
            DamagedError: They differ, or one is missing.
            StoreError: The disk does not give them.
        """
        if (self.folder / MANIFEST).exists():
            require_whole(self.folder)
            return
        # of a version that wrote no manifest, and a best.keras always
        for name in ("state.keras", BEST, "history.json"):
            require_readable(self.folder / name)
        self.history()
        adopt(self.folder)


def newest_checkpoint(training: Path) -> Checkpoint | None:
    """Find the last finished epoch that is whole, and clear away what an interrupted one left.

    One that is damaged is set aside, and said.

    Args:
        training: A training folder that is the caller's alone.

    Raises:
        StoreError: The disk does not give it, or it could not be renamed.
    """
    clear_drafts(training)
    for draft in training.glob("epoch-*.tmp"):  # as earlier versions named them
        shutil.rmtree(draft, ignore_errors=True)
    while folders := _folders(training):
        newest = Checkpoint(folders[-1])
        try:
            newest.require_whole()
        except DamagedError as damage:
            before = (
                f"from {folders[-2].name}" if len(folders) > 1 else "from the beginning, without an earlier checkpoint"
            )
            set_aside(newest.folder, damage.reason_in(newest.folder), f"training continues {before}")
        else:
            return newest
    return None


def drop_checkpoints(training: Path, keep: int = 0) -> None:
    """Remove checkpoints, also those that an interrupted removal left or that were set aside.

    Args:
        training: A training folder.
        keep: How many of the newest stay.
    """
    kept = _folders(training)[-keep:] if keep else []
    for folder in training.glob("epoch-*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def save_checkpoint(training: Path, network: "keras.Model", history: History) -> Checkpoint:
    """Keep the state after the last epoch of `history`, and drop those before the one before.

    Args:
        training: A training folder.
        network: The compiled network, with its optimizer.
        history: The epochs so far; the last one has just ended.

    Raises:
        DamagedError: The best network so far is not the one that was written.
        StoreError: It could not be written; the checkpoint before is still there.
    """
    number = history.epochs[-1].epoch
    folder = training / f"epoch-{number:04d}"
    before = [path for path in _folders(training) if path != folder][-1:]
    with writing(f"the training folder {training}"):
        if folder.exists():  # one that damage threw the training back before
            shutil.rmtree(folder)
        with whole_folder(folder) as draft:
            network.save(draft / "state.keras")
            best = Checkpoint(before[0]).best if before and history.best_epoch != number else None
            if best is not None:
                # A copy, no link: one damaged file must not spoil both checkpoints.
                shutil.copyfile(best, draft / BEST)
            write_json(draft / "history.json", history.to_json())
            digests = seal(draft, {"epoch": number})
            if best is not None and digests[BEST] != digests_of(best.parent)[best.name]:
                raise DamagedError(best, "another SHA-256 than was written")
    drop_checkpoints(training, keep=KEPT)
    return Checkpoint(folder)


def _folders(training: Path) -> list[Path]:
    """List the checkpoints, the newest last; what bears another name is none."""
    named = [(int(match[1]), path) for path in training.glob("epoch-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(named)]
