"""The epochs of a training: fitted one after another, each saved, and the best one exported at the end."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from xray.config import Config
from xray.data.catalog import Catalog
from xray.data.split_checks import require_covered
from xray.data.store.loader import Augment, Scans, evaluation_batches, store_errors, training_batches
from xray.data.store.pixel_store import PixelStore
from xray.errors import DivergedError, TrainingError
from xray.training.augmentation import COLUMNS, changes, draw_transforms
from xray.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from xray.training.devices import choose_precision, choose_strategy
from xray.training.export import arithmetic, export
from xray.training.history import Epoch, History, OnEpoch
from xray.training.interrupts import interrupts_held
from xray.training.optimization.objective import class_weights, compiled

log = logging.getLogger(__name__)


def train_to_the_end(
    catalog: Catalog, store: PixelStore, config: Config, folder: Path, on_epoch: Sequence[OnEpoch]
) -> int:
    """Train the epochs that are left, and export the best one. The arguments and errors are those of `fit.train`.

    Returns:
        How many epochs this call trained.
    """
    with interrupts_held() as interrupts:
        before, last = _fit(catalog, store, config, folder, on_epoch, interrupts)
        export(folder, last, config)
    return len(last.history().epochs) - before


def _fit(
    catalog: Catalog,
    store: PixelStore,
    config: Config,
    folder: Path,
    on_epoch: Sequence[OnEpoch],
    interrupts: keras.callbacks.Callback,
) -> tuple[int, Checkpoint]:
    settings = config.training
    checkpoint = newest_checkpoint(folder)
    history = checkpoint.history() if checkpoint else History((), choose_precision(settings.precision), settings.keep)
    done = len(history.epochs)
    if checkpoint:
        log.info("training continues after epoch %d of at most %d", done, settings.epochs)
        for call in on_epoch:
            call(history)
        if history.is_over(settings.epochs, settings.patience):
            return done, checkpoint
    train_scans = _scans(catalog, store, config, "train")
    validation_scans = _scans(catalog, store, config, "validation")
    strategy = choose_strategy()
    devices = strategy.num_replicas_in_sync
    _require_batches(len(train_scans), len(validation_scans), settings.batch_size, devices)
    with arithmetic(history.precision), strategy.scope():
        network = (
            keras.models.load_model(checkpoint.state)
            if checkpoint
            else compiled(config, train_scans.batches(settings.batch_size))
        )
    saver = _EpochSaver(folder, history, config, on_epoch)
    with store_errors():
        network.fit(
            _batches(config, train_scans, range(done, settings.epochs)),
            # Keras cannot start with a batch that does not come out even over the devices; it can end with one.
            validation_data=evaluation_batches(
                validation_scans, min(settings.batch_size, len(validation_scans) // devices * devices)
            ),
            steps_per_epoch=train_scans.batches(settings.batch_size),
            class_weight=class_weights(train_scans, config.labels),
            initial_epoch=done,
            epochs=settings.epochs,
            shuffle=False,  # the batches come shuffled
            callbacks=[saver, interrupts],
            verbose=0,
        )
    last = newest_checkpoint(folder)
    if last is None or last.history() != saver.history:
        raise TrainingError(f"a training must end with its last checkpoint. Received: another one in {folder}")
    return done, last


def _require_batches(scans: int, validation_scans: int, batch_size: int, devices: int) -> None:
    if scans < batch_size:
        raise TrainingError(f"training needs at least one batch of {batch_size} scans. Received: {scans}")
    if batch_size % devices:
        raise TrainingError(f"training.batch_size must be a multiple of the {devices} devices. Received: {batch_size}")
    if validation_scans < devices:
        raise TrainingError(f"validation needs a scan for each of the {devices} devices. Received: {validation_scans}")


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
            raise DivergedError(
                f"the loss must stay finite; lower training.learning_rate. Received: {values} in epoch {ended.epoch}"
            )
        self.history = self.history.with_epoch(ended)
        save_checkpoint(self.folder, self.model, self.history)
        log.info(
            "epoch %d/%d  loss %.4f  val_loss %.4f  val_accuracy %.3f  val_auc %.3f  %.0f s%s",
            ended.epoch, self.settings.epochs, ended.loss, ended.val_loss, ended.val_accuracy, ended.val_auc,
            ended.seconds, "  best" if self.history.keep == "best" and self.history.best_epoch == ended.epoch else "",
        )  # fmt: skip
        for call in self.on_epoch:
            call(self.history)
        self.model.stop_training = self.history.is_over(self.settings.epochs, self.settings.patience)


def _batches(config: Config, scans: Scans, epochs: range) -> Any:
    settings, augment = config.training, None
    if config.augmentation != type(config.augmentation)():
        augment = Augment(
            lambda epoch: draw_transforms(config.augmentation, config.images, settings.seed, epoch, len(scans)),
            changes(config.augmentation),
            COLUMNS,
        )
    return training_batches(scans, settings.batch_size, settings.seed, epochs, augment)


def _scans(catalog: Catalog, store: PixelStore, config: Config, split: str) -> Scans:
    scheme = config.labels.told_apart
    rows = catalog.rows(split)
    require_covered(rows, scheme)
    index = scheme.class_index(rows["subtype"])
    missing = [name for place, name in enumerate(scheme.classes) if not (index == place).any()]
    if missing:
        raise TrainingError(f"each class must have {split} scans. Received: none of {' and none of '.join(missing)}")
    if left_out := int((index < 0).sum()):
        log.info("%s: %d scans have no class in scheme %s: left out of the loss", split, left_out, scheme.name)
    digests, index = rows["sha256"][index >= 0], index[index >= 0]
    megabytes = len(index) * config.images.height * config.images.width / 1e6
    in_memory = megabytes <= config.training.memory_budget_mb
    log.info("%s: %d scans, %.0f MB, %s", split, len(index), megabytes, "in memory" if in_memory else "streamed")
    return Scans(store, tuple(digests), scheme.targets(index), in_memory)
