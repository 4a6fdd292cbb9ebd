"""Export of the best weights as a float32 network, whatever the training's precision."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from xray.config import Config
from xray.files.artifact_folder import seal
from xray.files.atomic import whole_file
from xray.files.checked_io import write_json, writing
from xray.training.checkpoint import Checkpoint
from xray.training.history import HISTORY, MODEL
from xray.training.networks.architectures import build
from xray.training.networks.test_time_augmentation import averaged_over_views


@contextmanager
def arithmetic(policy: str) -> Iterator[None]:
    """Build networks under a Keras dtype policy, and leave the process with the one it had.

    Args:
        policy: `float32` or `mixed_bfloat16`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def export(folder: Path, last: Checkpoint, config: Config) -> None:
    """Write `model.keras`, `history.json` and, last, `manifest.json`.

    Args:
        folder: A training folder.
        last: The training's last checkpoint.
        config: The whole configuration.

    Raises:
        StoreError: They could not be written; the checkpoint is still there.
    """
    with arithmetic("float32"):
        network = build(config.model, config.images, config.training.seed, config.labels.told_apart)
        network.set_weights(keras.models.load_model(last.best, compile=False).get_weights())
        if config.model.views > 1:
            network = averaged_over_views(network)
    history = last.history()
    early = history.stopped_early(config.training.patience)
    with writing(f"the training folder {folder}"):
        write_trained(folder, network, {**history.to_json(), "stopped_early": early})


def write_trained(folder: Path, network: keras.Model, history: Mapping[str, Any], **manifest: Any) -> None:
    """Write `model.keras`, `history.json` and, last, the manifest with the digests of both.

    Args:
        folder: A training folder.
        network: The network.
        history: What `History.to_json` gave, and more.
        manifest: What else the manifest says.

    Raises:
        OSError: They could not be written.
    """
    with whole_file(folder / MODEL) as draft:
        network.save(draft)
    write_json(folder / HISTORY, history)
    seal(folder, {"digest": folder.name, "best_epoch": history["best_epoch"], **manifest}, (MODEL, HISTORY))
