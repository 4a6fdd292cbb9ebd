"""The end of a training: its best weights as a network that computes in float32, whatever they were trained in."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from xray.config import Config
from xray.errors import StoreError
from xray.labels import SCHEMES
from xray.training.architectures import build
from xray.training.checkpoint import Checkpoint
from xray.training.views import averaged_over_views


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
        network = build(config.model, config.images, config.training.seed, SCHEMES[config.labels.scheme])
        network.set_weights(keras.models.load_model(last.best, compile=False).get_weights())
        if config.model.views > 1:
            network = averaged_over_views(network)
    history = last.history()
    early = history.stopped_early(config.training.patience)
    try:
        write_whole(folder / "model.keras", network)
        write_whole(folder / "history.json", {**history.to_json(), "stopped_early": early})
        write_whole(folder / "manifest.json", {"digest": folder.name, "best_epoch": history.best_epoch})
    except OSError as error:
        raise StoreError(f"the training folder {folder} must be writable and have room. Received: {error}") from error


def write_whole(path: Path, content: keras.Model | Mapping[str, Any]) -> None:
    """Write a network or JSON-like values under another name, and rename it; what is left of a failure goes.

    Args:
        path: Where it shall be, `.keras` or `.json`.
        content: The network or the values.

    Raises:
        OSError: It could not be written.
    """
    draft = path.with_name(f"{path.stem}.tmp{path.suffix}")
    try:
        if isinstance(content, Mapping):
            draft.write_text(json.dumps(content, indent=2), encoding="utf-8")
        else:
            content.save(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
