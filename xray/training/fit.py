"""Train a network, or take up a training where it was cut off."""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout

from xray.config import Config, digest_of
from xray.data.catalog import Catalog
from xray.data.images import normalizer_digest
from xray.data.loader import Augment, Scans, evaluation_batches, training_batches
from xray.data.shards import PixelStore
from xray.errors import StoreError, TrainingError
from xray.labels import label_index
from xray.training.architectures import build
from xray.training.augmentation import apply_transforms, draw_transforms
from xray.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from xray.training.devices import choose_precision, choose_strategy
from xray.training.history import Epoch, History

log = logging.getLogger(__name__)

TRAINING_VERSION = 1
"""Raised when a change of code makes the same configuration train another network."""

OnEpoch = Callable[[History], None]
"""Called after each epoch that was saved, with all epochs so far."""


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
        """The network file: uint8 (n, height, width, 1) to float32 (n, 1), P(normal)."""
        return self.folder / "model.keras"

    def history(self) -> History:
        """Read the epochs."""
        return History.from_json(json.loads((self.folder / "history.json").read_text(encoding="utf-8")))


def training_digest(catalog: Catalog, config: Config) -> str:
    """Digest what decides the weights: the scans with label and split, the normalizer, and the training's settings.

    TEST scans, the audit's findings and the memory budget do not count.
    """
    rows = catalog.rows()
    learned = rows.loc[rows["split"] != "test", ["sha256", "label", "split"]].sort_values(["sha256", "label", "split"])
    return digest_of(
        {
            "version": TRAINING_VERSION,
            "scans": learned.to_numpy().tolist(),
            "normalizer": normalizer_digest(config.images),
            "model": config.model.model_dump(),
            "augmentation": config.augmentation.model_dump(),
            "training": config.training.model_dump(exclude={"memory_budget_mb"}),
        }
    )


def train(
    catalog: Catalog, store: PixelStore, config: Config, folder: Path, on_epoch: Sequence[OnEpoch] = ()
) -> Trained:
    """Train to the end, from the last finished epoch if there is one.

    Args:
        catalog: The scans, with labels and splits. TEST scans are not looked at.
        store: Their pixels.
        config: The whole configuration.
        folder: The training folder, named by `training_digest`.
        on_epoch: Called in turn after each saved epoch, and once before the first one when earlier ones were found.

    Returns:
        The finished training. Killed and called again, it ends on a processor with the same history, to rounding.

    Raises:
        TrainingError: Another trainer works in this folder, or there are fewer training scans than a batch.
        StoreError: The folder could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            if (folder / "manifest.json").is_file():
                return Trained(folder, folder.name, 0)
            before, last = _train_to_the_end(catalog, store, config, folder, on_epoch)
            trained_epochs = len(last.history().epochs) - before
            _finish(folder, last, config)
            return Trained(folder, folder.name, trained_epochs)
    except Timeout as error:
        raise TrainingError(
            f"one trainer at a time may work in a training folder. Received: {folder} is in use"
        ) from error


def _train_to_the_end(
    catalog: Catalog, store: PixelStore, config: Config, folder: Path, on_epoch: Sequence[OnEpoch]
) -> tuple[int, Checkpoint]:
    settings = config.training
    checkpoint = newest_checkpoint(folder)
    history = checkpoint.history() if checkpoint else History((), choose_precision(settings.precision))
    done = len(history.epochs)
    if checkpoint:
        log.info("training goes on after epoch %d of at most %d", done, settings.epochs)
        for call in on_epoch:
            call(history)
        if history.is_over(settings.epochs, settings.patience):
            return done, checkpoint
    train_scans, validation_scans = _scans(catalog, store, config, "train"), _scans(catalog, store, config, "validation")
    if len(train_scans) < settings.batch_size:
        raise TrainingError(
            f"training needs at least one batch of {settings.batch_size} scans. Received: {len(train_scans)}"
        )
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(history.precision)
    with choose_strategy().scope():
        network = keras.models.load_model(checkpoint.state) if checkpoint else _compiled(config)
    saver = _EpochSaver(folder, history, config, on_epoch)
    network.fit(
        training_batches(
            train_scans, settings.batch_size, settings.seed, range(done, settings.epochs), _augment(config, len(train_scans))
        ),
        validation_data=evaluation_batches(validation_scans, settings.batch_size),
        steps_per_epoch=train_scans.batches(settings.batch_size),
        initial_epoch=done,
        epochs=settings.epochs,
        shuffle=False,  # the batches come shuffled
        callbacks=[saver],
        verbose=0,
    )
    last = newest_checkpoint(folder)
    if last is None:
        raise TrainingError(f"training must end with a checkpoint. Received: none in {folder}")
    return done, last


class _EpochSaver(keras.callbacks.Callback):
    """After each epoch: save, report, and stop when the history says so."""

    def __init__(self, folder: Path, history: History, config: Config, on_epoch: Sequence[OnEpoch]) -> None:
        super().__init__()
        self.folder, self.history, self.settings, self.on_epoch = folder, history, config.training, on_epoch
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_auc")
        values = {name: float((logs or {})[name]) for name in names}
        ended = Epoch(epoch + 1, time.time_ns() // 1_000_000, round(time.monotonic() - self.began, 2), **values)
        if not np.isfinite(list(values.values())).all():
            raise TrainingError(
                f"the loss must stay finite; lower training.learning_rate. Received: {values} in epoch {ended.epoch}"
            )
        self.history = self.history.with_epoch(ended)
        save_checkpoint(self.folder, self.model, self.history)
        log.info(
            "epoch %d/%d  loss %.4f  val_loss %.4f  val_accuracy %.3f  val_auc %.3f  %.0f s%s",
            ended.epoch, self.settings.epochs, ended.loss, ended.val_loss, ended.val_accuracy, ended.val_auc,
            ended.seconds, "  best" if self.history.best_epoch == ended.epoch else "",
        )  # fmt: skip
        for call in self.on_epoch:
            call(self.history)
        self.model.stop_training = self.history.is_over(self.settings.epochs, self.settings.patience)


def _compiled(config: Config) -> keras.Model:
    network = build(config.model, config.images)
    network.compile(
        optimizer=keras.optimizers.Adam(config.training.learning_rate),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")],
        jit_compile="auto" if keras.config.backend() == "jax" else _gains_from_xla(),
    )
    return network


def _gains_from_xla() -> bool:
    # On a processor XLA made the article's step two to four times slower; on a GPU it gains.
    return bool(keras.distribution.list_devices("gpu"))


def _augment(config: Config, count: int) -> Augment | None:
    if config.augmentation == type(config.augmentation)():
        return None
    return Augment(
        lambda epoch: draw_transforms(config.augmentation, config.images, config.training.seed, epoch, count),
        apply_transforms,
    )


def _scans(catalog: Catalog, store: PixelStore, config: Config, split: str) -> Scans:
    rows = catalog.rows(split)
    megabytes = len(rows) * config.images.height * config.images.width / 1e6
    in_memory = megabytes <= config.training.memory_budget_mb
    log.info("%s: %d scans, %.0f MB, %s", split, len(rows), megabytes, "in memory" if in_memory else "streamed")
    return Scans(store, tuple(rows["sha256"]), label_index(rows["label"]), in_memory)


def _finish(folder: Path, last: Checkpoint, config: Config) -> None:
    """Export the best weights in float32, then drop the checkpoints: one network is 320 MB, three states are 3 GB."""
    keras.config.set_dtype_policy("float32")
    try:
        # The same weights under float32 arithmetic, whatever they were trained in.
        network = build(config.model, config.images)
        network.set_weights(keras.models.load_model(last.best, compile=False).get_weights())
        network.save(folder / "model.tmp.keras")
        os.replace(folder / "model.tmp.keras", folder / "model.keras")
        history = last.history()
        early = history.stopped_early(config.training.patience)
        _write_json(folder / "history.json", {**history.to_json(), "stopped_early": early})
        _write_json(folder / "manifest.json", {"digest": folder.name, "best_epoch": history.best_epoch})
    except OSError as error:
        raise StoreError(f"the training folder {folder} must be writable. Received: {error}") from error
    shutil.rmtree(last.folder, ignore_errors=True)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(values, indent=2), encoding="utf-8")
    os.replace(draft, path)
