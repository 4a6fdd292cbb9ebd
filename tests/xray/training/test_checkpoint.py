"""Whatever a kill leaves behind, the newest checkpoint is whole."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np
import pytest

from xray.errors import StoreError
from xray.training.checkpoint import Checkpoint, drop_checkpoints, newest_checkpoint, save_checkpoint
from xray.training.history import Epoch, History


def history(*val_losses: float) -> History:
    epochs = [Epoch(number, 0, 1.0, 0.5, 0.5, val_loss, 0.5, 0.5) for number, val_loss in enumerate(val_losses, 1)]
    return History(tuple(epochs), "float32")


@pytest.fixture(scope="module")
def compiled() -> keras.Model:
    """One dense layer that was trained for a step, so that its optimizer has a state."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(50), keras.layers.Dense(1)])
    network.compile(keras.optimizers.Adam(0.1), "mse")
    network.train_on_batch(np.ones((2, 3)), np.ones((2, 1)))
    return network


def mark(network: keras.Model, value: float) -> keras.Model:
    """Set the last weight to what tells this epoch's network from the others."""
    network.layers[-1].bias.assign([value])
    return network


def marks(checkpoint: Checkpoint) -> tuple[float, float]:
    """The marks of the state and of the best network."""
    state, best = keras.models.load_model(checkpoint.state), keras.models.load_model(checkpoint.best)
    return state.layers[-1].bias.numpy().item(), best.layers[-1].bias.numpy().item()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestSave:
    def test_an_empty_folder_has_no_checkpoint(self, training: Path) -> None:
        assert newest_checkpoint(training) is None

    def test_it_holds_weights_optimizer_and_history(self, training: Path, compiled: keras.Model) -> None:
        saved = save_checkpoint(training, mark(compiled, 1), history(0.7))
        assert newest_checkpoint(training) == saved
        assert saved.history() == history(0.7)
        again = keras.models.load_model(saved.state)
        for kept, had in zip(again.optimizer.variables, compiled.optimizer.variables, strict=True):
            np.testing.assert_array_equal(kept.numpy(), had.numpy())
        assert names(training) == ["epoch-0001"]
        assert names(saved.folder) == ["best.keras", "history.json", "state.keras"]

    def test_the_best_network_is_kept_while_later_epochs_are_worse(self, training: Path, compiled: keras.Model) -> None:
        losses = [0.7, 0.5, 0.6, 0.5, 0.4]
        found = []
        for number in range(1, 6):
            found.append(marks(save_checkpoint(training, mark(compiled, number), history(*losses[:number]))))
            assert names(training) == [f"epoch-{number:04d}"]
        assert found == [(1, 1), (2, 2), (3, 2), (4, 2), (5, 5)]

    def test_epoch_10000_follows_9999(self, training: Path) -> None:
        for number in (999, 9_999, 10_000):
            (training / f"epoch-{number:04d}").mkdir()
        newest = newest_checkpoint(training)
        assert newest is not None
        assert newest.folder.name == "epoch-10000"


class TestInterrupted:
    def test_half_a_checkpoint_is_cleared_away_and_the_one_before_counts(
        self, training: Path, compiled: keras.Model
    ) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.7))
        half = training / "epoch-0002.tmp"
        half.mkdir()
        (half / "state.keras").write_bytes(first.state.read_bytes()[:1000])
        assert newest_checkpoint(training) == first
        assert names(training) == ["epoch-0001"]
        assert marks(first) == (1, 1)

    def test_a_kill_before_the_old_one_is_dropped_leaves_it_for_the_next_to_drop(
        self, training: Path, compiled: keras.Model
    ) -> None:
        save_checkpoint(training, mark(compiled, 1), history(0.7))
        (training / "epoch-0001").rename(training / "aside")
        save_checkpoint(training, mark(compiled, 2), history(0.7, 0.6))
        (training / "aside").rename(training / "epoch-0001")
        newest = newest_checkpoint(training)
        assert newest is not None
        assert newest.folder.name == "epoch-0002"
        save_checkpoint(training, mark(compiled, 3), history(0.7, 0.6, 0.5))
        assert names(training) == ["epoch-0003"]

    def test_dropping_takes_checkpoints_and_drafts_and_nothing_else(self, training: Path) -> None:
        for name in ("epoch-0001", "epoch-0002", "epoch-0003.tmp"):
            (training / name).mkdir()
        (training / "lock").touch()
        drop_checkpoints(training, but=training / "epoch-0002")
        assert names(training) == ["epoch-0002", "lock"]


class TestUnwritable:
    @pytest.mark.parametrize("most_bytes", [0, 100, 8_000])
    def test_on_a_full_disk_the_one_before_stays(
        self,
        training: Path,
        compiled: keras.Model,
        disk_with_room_for: Callable[[int], AbstractContextManager[None]],
        most_bytes: int,
    ) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.7))
        size = first.state.stat().st_size
        assert size > most_bytes
        message = f"the training folder {training} must be writable and have room. Received: "
        with pytest.raises(StoreError, match=message), disk_with_room_for(most_bytes):
            save_checkpoint(training, mark(compiled, 2), history(0.7, 0.6))
        assert names(training) == ["epoch-0001"]
        assert newest_checkpoint(training) == first
        assert marks(first) == (1, 1)

    def test_a_folder_that_is_gone_is_named(self, training: Path, compiled: keras.Model) -> None:
        training.rmdir()
        with pytest.raises(StoreError, match=f"the training folder {training} must be writable and have room"):
            save_checkpoint(training, compiled, history(0.7))
