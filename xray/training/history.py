"""The history of a training, one entry per epoch; early stopping is computed from it, so no other state is stored."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xray.files.checked_io import read_json, reading

MODEL, HISTORY = "model.keras", "history.json"
"""The files of a finished training, beside its manifest."""

MEANS = ("loss", "accuracy", "val_loss", "val_accuracy", "val_auc")
"""The metrics of an epoch that are averaged over several trainings."""


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
            return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "History":
        """Read back what `to_json` gave."""
        epochs = tuple(Epoch(**epoch) for epoch in values["epochs"])
        return cls(epochs, values["precision"], values.get("keep", "best"))

    @classmethod
    def mean(cls, histories: "Sequence[History]") -> "History":
        """Average the epochs of several trainings, up to the last epoch that all of them have.

        It shows how such a training runs, and no network stands for one of its points: each member has the weights of
        its own best epoch. Later epochs are left out, since a mean over those that went on would be one over the slower
        half.

        Args:
            histories: One a member.

        Returns:
            Means of the metrics; `seconds` is the sum over the members, `ended_ms` the time of the last one.
        """
        shared = zip(*(history.epochs for history in histories), strict=False)
        epochs = tuple(
            Epoch(
                epoch=number,
                ended_ms=max(epoch.ended_ms for epoch in together),
                seconds=round(sum(epoch.seconds for epoch in together), 2),
                **{name: statistics.fmean(getattr(epoch, name) for epoch in together) for name in MEANS},
            )
            for number, together in enumerate(shared, start=1)
        )
        keep = "last" if all(history.keep == "last" for history in histories) else "best"
        return cls(epochs, ", ".join(sorted({history.precision for history in histories})), keep)

    def with_epoch(self, epoch: Epoch) -> "History":
        """Add one epoch at the end."""
        return replace(self, epochs=(*self.epochs, epoch))


OnEpoch = Callable[[History], None]
"""Called after each epoch that was saved, with all epochs so far. It may raise `StoppedTraining`."""


class StoppedTraining(Exception):
    """Ends a training before its time, which is no failure; its last checkpoint stays."""
