"""What a training has seen, an entry an epoch; early stopping is read off it, so no other state is kept."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xray.files import read_json, reading


@dataclass(frozen=True)
class Epoch:
    """The figures of one finished epoch.

    Attributes:
        epoch: Counted from 1.
        ended_ms: When it ended, milliseconds since 1970 (UTC).
        seconds: How long it took, validation included.
        loss: Binary cross-entropy over the training scans, as augmented.
        accuracy: Share of training scans right at 0.5, 0 to 1.
        val_loss: Binary cross-entropy over the validation scans.
        val_accuracy: Share of validation scans right at 0.5, 0 to 1.
        val_auc: Area under the ROC curve over the validation scans, from 200 thresholds, 0 to 1.
    """

    epoch: int
    ended_ms: int
    seconds: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_auc: float


@dataclass(frozen=True)
class History:
    """The finished epochs of a training, in order.

    Attributes:
        epochs: An entry an epoch.
        precision: The arithmetic they were trained in.
        keep: Which epoch is the best: `best`, by its validation loss, or `last`.
    """

    epochs: tuple[Epoch, ...]
    precision: str
    keep: str = "best"

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept; 0 where there is none.

        It has the lowest validation loss, and is the first of equals; or it is the last one.
        """
        if self.keep == "last":
            return len(self.epochs)
        return min(self.epochs, key=lambda epoch: epoch.val_loss).epoch if self.epochs else 0

    def is_over(self, most_epochs: int, patience: int) -> bool:
        """Tell whether to stop: all epochs are done, or `patience` of them brought no lower validation loss."""
        return len(self.epochs) >= most_epochs or self.stopped_early(patience)

    def stopped_early(self, patience: int) -> bool:
        """Tell whether the last `patience` epochs brought no lower validation loss; a patience of 0 never does."""
        return 0 < patience <= len(self.epochs) - self.best_epoch

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON-like values."""
        return {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "best_epoch": self.best_epoch,
            "precision": self.precision,
            "keep": self.keep,
        }

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read the file that `to_json` was written to.

        Raises:
            DamagedError: It is missing or is none.
            StoreError: The disk does not give it.
        """
        values = read_json(path)
        with reading(path):
            return cls.from_json(values)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "History":
        """Read back what `to_json` gave."""
        epochs = tuple(Epoch(**epoch) for epoch in values["epochs"])
        return cls(epochs, values["precision"], values.get("keep", "best"))

    def with_epoch(self, epoch: Epoch) -> "History":
        """Add one epoch at the end."""
        return replace(self, epochs=(*self.epochs, epoch))
