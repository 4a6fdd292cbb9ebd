"""A training ends the same however often it is cut off, and leaves one whole folder."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tests.xray.conftest import TINY, Learned
from xray.config import Config, load_config
from xray.data.catalog import Catalog, write_catalog
from xray.data.store.pixel_store import PixelStore
from xray.errors import DamagedError, StoreError, TrainingError
from xray.files.artifact_folder import digests_of
from xray.training.fit import Trained, is_finished, train
from xray.training.history import History, OnEpoch
from xray.training.predict import predict
from xray.training.training_digest import training_digest

pytestmark = pytest.mark.long(30)

FINISHED = ["history.json", "lock", "manifest.json", "model.keras"]
STOPS_EARLY = ("training.epochs=30", "training.patience=2", "training.learning_rate=0.03")
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy", "val_auc")


def config_of(*settings: str) -> Config:
    return load_config("quick", [*TINY, "training.precision=float32", "training.batch_size=16", *settings])


class Interrupted(Exception):
    """What ends a training from outside."""


def interrupt_after(epoch: int) -> OnEpoch:
    def on_epoch(history: History) -> None:
        if len(history.epochs) == epoch:
            raise Interrupted

    return on_epoch


def run(prepared: Learned, config: Config, folder: Path, *on_epoch: OnEpoch) -> Trained:
    return train(prepared.catalog, prepared.store, config, folder, on_epoch)


def figures(history: History) -> np.ndarray:
    return np.array([[getattr(epoch, name) for name in FIGURES] for epoch in history.epochs])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@dataclass(frozen=True)
class Unbroken:
    """A training that nothing interrupted, with what it told after each epoch."""

    config: Config
    trained: Trained
    told: list[History]


@pytest.fixture(scope="module")
def unbroken(prepared: Learned, tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    """Too large steps on few scans: validation loss soon rises, and training stops early."""
    config = config_of(*STOPS_EARLY)
    told: list[History] = []
    trained = run(prepared, config, tmp_path_factory.mktemp("unbroken") / "abc", told.append)
    return Unbroken(config, trained, told)


class TestToTheEnd:
    def test_it_stops_early_and_leaves_a_network_and_its_history(self, unbroken: Unbroken) -> None:
        trained, history = unbroken.trained, unbroken.trained.history()
        assert 3 <= len(history.epochs) < 30
        assert len(history.epochs) == history.best_epoch + 2
        assert trained.trained_epochs == len(history.epochs)
        assert trained.digest == trained.folder.name == "abc"
        assert names(trained.folder) == FINISHED
        written = json.loads((trained.folder / "history.json").read_text())
        assert (written["best_epoch"], written["stopped_early"], written["precision"]) == (
            history.best_epoch,
            True,
            "float32",
        )

    def test_it_tells_all_epochs_so_far_after_each(self, unbroken: Unbroken) -> None:
        epochs = unbroken.trained.history().epochs
        assert [told.epochs for told in unbroken.told] == [epochs[:number] for number in range(1, len(epochs) + 1)]
        assert [epoch.epoch for epoch in epochs] == list(range(1, len(epochs) + 1))
        assert sorted(epoch.ended_ms for epoch in epochs) == [epoch.ended_ms for epoch in epochs]

    def test_the_network_has_the_best_epochs_weights(self, unbroken: Unbroken, prepared: Learned) -> None:
        history = unbroken.trained.history()
        rows = prepared.catalog.rows("validation")
        p = predict(keras.models.load_model(unbroken.trained.model), prepared.store.read(rows["sha256"].tolist()))
        own = np.where(rows["label"] == "pneumonia", p[:, 0], p[:, 1])
        by_hand = -np.log(np.clip(own, 1e-7, 1)).mean()
        assert by_hand == pytest.approx(history.epochs[history.best_epoch - 1].val_loss, rel=1e-3)
        assert by_hand < history.epochs[-1].val_loss

    def test_or_the_last_ones(self, unbroken: Unbroken, prepared: Learned, tmp_path: Path) -> None:
        best = len(unbroken.trained.history().epochs)
        settings = (*STOPS_EARLY[2:], f"training.epochs={best}", "training.patience=0", "training.keep=last")
        trained = run(prepared, config_of(*settings), tmp_path / "last")
        history = trained.history()
        rows = prepared.catalog.rows("validation")
        p = predict(keras.models.load_model(trained.model), prepared.store.read(rows["sha256"].tolist()))
        own = np.where(rows["label"] == "pneumonia", p[:, 0], p[:, 1])
        assert -np.log(np.clip(own, 1e-7, 1)).mean() == pytest.approx(history.epochs[-1].val_loss, rel=1e-3)
        assert history.epochs[-1].val_loss > min(epoch.val_loss for epoch in history.epochs)
        assert history.best_epoch == best

    def test_called_again_it_trains_nothing(self, unbroken: Unbroken, prepared: Learned) -> None:
        before = {path: path.stat().st_mtime_ns for path in unbroken.trained.folder.iterdir() if path.name != "lock"}
        told: list[History] = []
        again = run(prepared, unbroken.config, unbroken.trained.folder, told.append)
        assert again == replace(unbroken.trained, trained_epochs=0)
        assert told == []
        assert {path: path.stat().st_mtime_ns for path in before} == before

    def test_streamed_it_learns_as_well(self, prepared: Learned, tmp_path: Path) -> None:
        config = config_of("training.epochs=2", "training.memory_budget_mb=0")
        history = run(prepared, config, tmp_path / "streamed").history()
        assert history.epochs[1].loss < history.epochs[0].loss
        assert json.loads((tmp_path / "streamed" / "history.json").read_text())["stopped_early"] is False

    def test_mixed_precision_trains_and_exports_float32(self, prepared: Learned, tmp_path: Path) -> None:
        before = keras.config.dtype_policy().name
        settings = ("training.epochs=2", "training.patience=0", "training.precision=mixed_bfloat16")
        with pytest.raises(Interrupted):
            run(prepared, config_of(*settings), tmp_path / "mixed", interrupt_after(1))
        assert keras.config.dtype_policy().name == before
        trained = run(prepared, config_of(*settings), tmp_path / "mixed")
        assert keras.config.dtype_policy().name == before
        assert trained.history().precision == "mixed_bfloat16"
        network = keras.models.load_model(trained.model)
        assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}
        assert {layer.compute_dtype for layer in network.layers if layer.weights} == {"float32"}
        assert {weight.dtype for weight in network.weights} == {"float32"}


class TestInterrupted:
    @pytest.mark.parametrize("back", [1, 0], ids=["while-waiting-for-a-lower-loss", "after-the-last-epoch"])
    def test_it_ends_with_the_history_of_an_unbroken_one(
        self, unbroken: Unbroken, prepared: Learned, tmp_path: Path, back: int
    ) -> None:
        expected = unbroken.trained.history()
        last = len(expected.epochs)
        for epoch in (2, last - back):
            with pytest.raises(Interrupted):
                run(prepared, unbroken.config, tmp_path / "abc", interrupt_after(epoch))
            assert names(tmp_path / "abc") == [f"epoch-{epoch - 1:04d}", f"epoch-{epoch:04d}", "lock"]
        told: list[History] = []
        trained = run(prepared, unbroken.config, tmp_path / "abc", told.append)
        assert trained.trained_epochs == back
        assert [len(history.epochs) for history in told] == list(range(last - back, last + 1))
        np.testing.assert_allclose(figures(trained.history()), figures(expected), rtol=1e-4)
        assert trained.history().best_epoch == expected.best_epoch
        assert names(trained.folder) == FINISHED
        kept, had = (keras.models.load_model(one.model).get_weights() for one in (trained, unbroken.trained))
        for mine, other in zip(kept, had, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)

    def test_a_kill_after_the_manifest_leaves_no_checkpoint_for_good(
        self, unbroken: Unbroken, prepared: Learned, tmp_path: Path
    ) -> None:
        folder = Path(shutil.copytree(unbroken.trained.folder, tmp_path / "abc"))
        (folder / "epoch-0007").mkdir()
        run(prepared, unbroken.config, folder)
        assert names(folder) == FINISHED


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class TestDamaged:
    @pytest.fixture
    def finished(self, unbroken: Unbroken, tmp_path: Path) -> Trained:
        """A finished training of its own, with what else lies in such a folder."""
        folder = Path(shutil.copytree(unbroken.trained.folder, tmp_path / "abc"))
        (folder / "run.json").write_text("{}")
        (folder / "evaluation-0123").mkdir()
        return Trained(folder, folder.name, 0)

    @pytest.mark.parametrize("name", ["model.keras", "history.json"])
    def test_no_damaged_network_is_given_out(self, finished: Trained, name: str) -> None:
        flip(finished.folder / name)
        with pytest.raises(DamagedError, match=f"{finished.folder / name} must be unchanged since it was written"):
            _ = finished.model, finished.history()

    def test_a_network_cut_short_is_set_aside_with_all_that_was_made_of_it_and_trained_again(
        self, finished: Trained, unbroken: Unbroken, prepared: Learned, caplog: pytest.LogCaptureFixture
    ) -> None:
        finished.model.write_bytes(finished.model.read_bytes()[:5000])
        again = run(prepared, unbroken.config, finished.folder)
        assert again.trained_epochs == len(unbroken.trained.history().epochs)
        assert again.history().best_epoch == unbroken.trained.history().best_epoch
        assert names(again.folder) == sorted([*FINISHED, "lost.damaged"])
        aside = ["evaluation-0123", "history.json", "manifest.json", "model.keras", "run.json"]
        assert names(again.folder / "lost.damaged") == aside
        (told,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
        lost = f"{again.folder / 'model.keras'} is damaged and was moved to lost.damaged"
        assert told.startswith(f"{lost}; the training is repeated: SHA-256 ")

    @pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:5000]), Path.unlink])
    def test_one_of_an_earlier_version_is_proved_by_its_archive(
        self, finished: Trained, damage: Callable[[Path], object]
    ) -> None:
        (finished.folder / "manifest.json").write_text('{"digest": "abc"}')  # which lists no digests
        assert is_finished(finished.folder)
        assert set(digests_of(finished.folder)) == {"model.keras", "history.json"}
        (finished.folder / "manifest.json").write_text('{"digest": "abc"}')
        damage(finished.folder / "model.keras")
        assert not is_finished(Path(shutil.copytree(finished.folder, finished.folder.with_name("another"))))

    @pytest.mark.parametrize("damage", [Path.unlink, cut_in_half])
    def test_a_lost_manifest_costs_nothing(
        self, finished: Trained, unbroken: Unbroken, prepared: Learned, damage: Callable[[Path], object]
    ) -> None:
        damage(finished.folder / "manifest.json")
        assert run(prepared, unbroken.config, finished.folder).trained_epochs == 0
        assert finished.history() == unbroken.trained.history()
        (finished.folder / "manifest.json").unlink()
        flip(finished.folder / "model.keras")
        assert not is_finished(finished.folder)

    def test_a_damaged_newest_checkpoint_costs_one_epoch(
        self, unbroken: Unbroken, prepared: Learned, tmp_path: Path
    ) -> None:
        with pytest.raises(Interrupted):
            run(prepared, unbroken.config, tmp_path / "abc", interrupt_after(3))
        flip(tmp_path / "abc" / "epoch-0003" / "state.keras")
        told: list[History] = []
        trained = run(prepared, unbroken.config, tmp_path / "abc", told.append)
        assert [len(history.epochs) for history in told][:2] == [2, 3]
        np.testing.assert_allclose(figures(trained.history()), figures(unbroken.trained.history()), rtol=1e-4)
        assert names(trained.folder) == FINISHED


class TestRefused:
    def test_a_second_trainer(self, prepared: Learned, tmp_path: Path) -> None:
        config = config_of("training.epochs=1")
        seen: list[str] = []

        def second(_: History) -> None:
            with pytest.raises(
                TrainingError, match="only one process at a time .* Received: .*abc is in use"
            ) as refused:
                run(prepared, config, tmp_path / "abc")
            seen.append(str(refused.value))

        assert run(prepared, config, tmp_path / "abc", second).trained_epochs == 1
        assert len(seen) == 1

    def test_fewer_scans_than_a_batch(self, prepared: Learned, tmp_path: Path) -> None:
        count = len(prepared.catalog.rows("train"))
        with pytest.raises(TrainingError, match=f"at least one batch of {count + 1} scans. Received: {count}"):
            run(prepared, config_of(f"training.batch_size={count + 1}"), tmp_path / "abc")
        assert names(tmp_path / "abc") == ["lock"]

    def test_a_loss_that_is_no_number(self, prepared: Learned, tmp_path: Path) -> None:
        config = config_of("training.epochs=3")
        # Beyond what a recipe may ask for, so that it surely diverges.
        config = config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": 1e38})})
        with pytest.raises(TrainingError, match="loss must stay finite; lower training.learning_rate. Received: "):
            run(prepared, config, tmp_path / "abc")
        assert "model.keras" not in names(tmp_path / "abc")


class TestUnwritable:
    def test_a_folder_that_cannot_be_made(self, prepared: Learned, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="training folder .* must be writable and have free space. Received: "):
            run(prepared, config_of(), tmp_path / "file" / "abc")

    def test_a_disk_that_is_full_when_the_network_is_exported(
        self,
        prepared: Learned,
        tmp_path: Path,
        disk_with_room_for: Callable[[int], AbstractContextManager[None]],
    ) -> None:
        config = config_of("training.epochs=1")
        with pytest.raises(Interrupted):
            run(prepared, config, tmp_path / "abc", interrupt_after(1))
        with pytest.raises(StoreError, match="must be writable and have free space"), disk_with_room_for(10_000):
            run(prepared, config, tmp_path / "abc")
        assert names(tmp_path / "abc") == ["epoch-0001", "lock"]
        assert run(prepared, config, tmp_path / "abc").trained_epochs == 0
        assert names(tmp_path / "abc") == FINISHED

    def test_a_shard_that_breaks_while_it_is_streamed(self, prepared: Learned, tmp_path: Path) -> None:
        store = PixelStore.open(Path(shutil.copytree(prepared.store.folder, tmp_path / "store")))
        shard = store.folder / store.shards[0].name

        def spoil(_: History) -> None:
            shard.write_bytes(b"no longer a shard")

        config = config_of("training.epochs=20", "training.patience=0", "training.memory_budget_mb=0")
        with pytest.raises(StoreError, match=f"{shard.name} must be an undamaged shard"):
            train(prepared.catalog, store, config, tmp_path / "abc", [spoil])


class TestDigest:
    @staticmethod
    def changed(prepared: Learned, root: Path, change: Callable[[pd.DataFrame], Any]) -> Catalog:
        rows = prepared.catalog.rows()
        change(rows)
        return write_catalog(rows, prepared.catalog.rejects(), {}, prepared.catalog.data, root)

    def test_test_scans_do_not_count_and_are_never_read(self, prepared: Learned, tmp_path: Path) -> None:
        def lose(rows: pd.DataFrame) -> None:
            rows.loc[rows["split"] == "test", "sha256"] = "f" * 64  # in no store

        catalog, config = self.changed(prepared, tmp_path, lose), config_of("training.epochs=1")
        assert training_digest(catalog, config) == training_digest(prepared.catalog, config)
        assert train(catalog, prepared.store, config, tmp_path / "abc").trained_epochs == 1

    def test_the_memory_budget_does_not_count(self, prepared: Learned) -> None:
        digests = {
            training_digest(prepared.catalog, config_of(*settings))
            for settings in ([], ["training.memory_budget_mb=0"], ["evaluation.seed=5"], ["registry.challenger=true"])
        }
        assert len(digests) == 1

    def test_a_label_or_a_split_counts(self, prepared: Learned, tmp_path: Path) -> None:
        def relabel(rows: pd.DataFrame) -> None:
            first = rows.index[(rows["split"] == "train") & (rows["label"] == "normal")][0]
            rows.loc[first, "label"] = "pneumonia"

        def move(rows: pd.DataFrame) -> None:
            rows.loc[rows.index[rows["split"] == "train"][0], "split"] = "validation"

        catalogs = [prepared.catalog, *(self.changed(prepared, tmp_path, change) for change in (relabel, move))]
        assert len({training_digest(catalog, config_of()) for catalog in catalogs}) == 3

    @pytest.mark.parametrize(
        "setting",
        [
            "training.seed=1",
            "training.epochs=9",
            "images.fit=pad",
            "model.architecture=article",
            "augmentation.zoom=0.2",
        ],
    )
    def test_what_decides_the_weights_counts(self, prepared: Learned, setting: str) -> None:
        changed = training_digest(prepared.catalog, config_of(setting))
        assert changed != training_digest(prepared.catalog, config_of())
