"""Whatever a kill leaves behind, the newest checkpoint is whole."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np
import pytest

from xray.errors import DamagedError, StoreError
from xray.files.artifact_folder import digests_of
from xray.files.atomic import whole_folder
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
        assert names(saved.folder) == ["history.json", "manifest.json", "state.keras"]

    def test_the_best_network_is_kept_while_later_epochs_are_worse(self, training: Path, compiled: keras.Model) -> None:
        losses = [0.7, 0.5, 0.6, 0.5, 0.4]
        found = []
        for number in range(1, 6):
            found.append(marks(save_checkpoint(training, mark(compiled, number), history(*losses[:number]))))
            assert names(training) == [f"epoch-{each:04d}" for each in (number - 1, number) if each]
        assert found == [(1, 1), (2, 2), (3, 2), (4, 2), (5, 5)]

    def test_epoch_10000_follows_9999(self, training: Path) -> None:
        for number in (999, 9_999, 10_000):
            (training / f"epoch-{number:04d}").mkdir()
        drop_checkpoints(training, keep=2)
        assert names(training) == ["epoch-10000", "epoch-9999"]


class TestInterrupted:
    def test_half_a_checkpoint_is_cleared_away_and_the_one_before_counts(
        self, training: Path, compiled: keras.Model
    ) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.7))
        with pytest.raises(KeyboardInterrupt), whole_folder(training / "epoch-0002") as half:
            (half / "state.keras").write_bytes(first.state.read_bytes()[:1000])
            shutil.copytree(half, training / half.name.replace("epoch-0002", "epoch-0003"))  # as a kill leaves it
            shutil.copytree(half, training / "epoch-0002.tmp")  # and as one of an earlier version did
            raise KeyboardInterrupt
        assert len(names(training)) == 3
        assert newest_checkpoint(training) == first
        assert names(training) == ["epoch-0001"]
        assert marks(first) == (1, 1)

    def test_what_cannot_be_removed_and_bears_another_name_is_no_checkpoint(
        self, training: Path, compiled: keras.Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.7))
        for odd in ("epoch-0003.tmp", "epoch-", "epoch-12", "epoch-0007.damaged"):
            (training / odd).mkdir()
        with monkeypatch.context() as patched:  # root may remove everything
            patched.setattr(shutil, "rmtree", lambda *_, **__: None)
            assert newest_checkpoint(training) == first
        assert "epoch-0003.tmp" in names(training)
        assert save_checkpoint(training, mark(compiled, 2), history(0.7, 0.6)).folder.name == "epoch-0002"

    def test_a_kill_before_old_ones_are_dropped_leaves_them_for_the_next_to_drop(
        self, training: Path, compiled: keras.Model
    ) -> None:
        for number in (1, 2, 3):
            save_checkpoint(training, mark(compiled, number), history(*[0.7, 0.6, 0.5][:number]))
        shutil.copytree(training / "epoch-0002", training / "epoch-0001")
        newest = newest_checkpoint(training)
        assert newest is not None
        assert newest.folder.name == "epoch-0003"
        save_checkpoint(training, mark(compiled, 4), history(0.7, 0.6, 0.5, 0.4))
        assert names(training) == ["epoch-0003", "epoch-0004"]

    def test_dropping_takes_checkpoints_and_drafts_and_nothing_else(self, training: Path) -> None:
        for name in ("epoch-0001", "epoch-0002", "epoch-0003.tmp", "epoch-0004.damaged"):
            (training / name).mkdir()
        (training / "lock").touch()
        drop_checkpoints(training, keep=1)
        assert names(training) == ["epoch-0002", "lock"]
        drop_checkpoints(training)
        assert names(training) == ["lock"]


def flip(path: Path, at: float = 0.5) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("this is none"),
    "removed": Path.unlink,
}


class TestDamaged:
    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("name", ["state.keras", "best.keras", "history.json"])
    def test_the_newest_is_set_aside_and_the_one_before_counts(
        self, training: Path, compiled: keras.Model, caplog: pytest.LogCaptureFixture, name: str, damage: str
    ) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.6))
        second = save_checkpoint(training, mark(compiled, 2), history(0.6, 0.7))
        DAMAGES[damage](second.folder / name)
        assert newest_checkpoint(training) == first
        assert marks(first) == (1, 1)
        assert names(training) == ["epoch-0001", "epoch-0002.damaged"]
        (told,) = caplog.messages
        assert told.startswith(
            f"{second.folder} is damaged and was renamed to epoch-0002.damaged; training continues from "
        )
        assert f"epoch-0001: {name}: " in told
        save_checkpoint(training, mark(compiled, 3), history(0.6, 0.5))
        assert names(training) == ["epoch-0001", "epoch-0002"]

    def test_a_damaged_manifest_counts_as_damage(self, training: Path, compiled: keras.Model) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.6))
        second = save_checkpoint(training, mark(compiled, 2), history(0.6, 0.5))
        (second.folder / "manifest.json").write_text("{")
        assert newest_checkpoint(training) == first

    def test_where_none_is_whole_training_starts_anew_and_that_is_said(
        self, training: Path, compiled: keras.Model, caplog: pytest.LogCaptureFixture
    ) -> None:
        for number in (1, 2):
            flip(save_checkpoint(training, mark(compiled, number), history(*[0.6, 0.5][:number])).state)
        assert newest_checkpoint(training) is None
        assert (
            "training continues from the beginning, without an earlier checkpoint: state.keras: " in caplog.messages[-1]
        )

    def test_a_best_network_that_changed_is_not_carried_on(self, training: Path, compiled: keras.Model) -> None:
        first = save_checkpoint(training, mark(compiled, 1), history(0.6))
        flip(first.state)
        with pytest.raises(DamagedError, match=f"{first.state} must be unchanged since it was written"):
            save_checkpoint(training, mark(compiled, 2), history(0.6, 0.7))
        assert names(training) == ["epoch-0001"]


class TestOfAnEarlierVersion:
    """It wrote no manifest, and linked the best network."""

    @pytest.fixture
    def earlier(self, training: Path, compiled: keras.Model) -> Checkpoint:
        saved = save_checkpoint(training, mark(compiled, 1), history(0.7))
        (saved.folder / "manifest.json").unlink()
        (saved.folder / "best.keras").hardlink_to(saved.state)
        return saved

    def test_it_is_proved_by_the_checksums_in_its_archives_once(self, training: Path, earlier: Checkpoint) -> None:
        assert newest_checkpoint(training) == earlier
        assert set(digests_of(earlier.folder)) == {"best.keras", "history.json", "state.keras"}
        assert marks(earlier) == (1, 1)

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_or_found_to_be_damaged(self, training: Path, earlier: Checkpoint, damage: str) -> None:
        DAMAGES[damage](earlier.best)
        assert newest_checkpoint(training) is None
        assert names(training) == ["epoch-0001.damaged"]


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
        message = f"the training folder {training} must be writable and have free space. Received: "
        with pytest.raises(StoreError, match=message), disk_with_room_for(most_bytes):
            save_checkpoint(training, mark(compiled, 2), history(0.7, 0.6))
        assert names(training) == ["epoch-0001"]
        assert newest_checkpoint(training) == first
        assert marks(first) == (1, 1)

    def test_a_folder_that_is_gone_is_named(self, training: Path, compiled: keras.Model) -> None:
        training.rmdir()
        with pytest.raises(StoreError, match=f"the training folder {training} must be writable and have free space"):
            save_checkpoint(training, compiled, history(0.7))
