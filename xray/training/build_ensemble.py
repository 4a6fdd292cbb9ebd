"""The network that averages several others, written into a folder like a training's."""

from collections.abc import Sequence
from pathlib import Path

import keras

from xray.config import Config
from xray.training.export import arithmetic, write_trained
from xray.training.fit import Trained
from xray.training.history import History


def write_average(folder: Path, members: Sequence[Trained], config: Config) -> None:
    """Write `model.keras`, `history.json` and, last, `manifest.json`.

    Args:
        folder: The ensemble's folder.
        members: Finished trainings of the same scans, at least two, in order of their seeds.
        config: The whole configuration.

    Raises:
        OSError: They could not be written.
    """
    histories = [member.history() for member in members]
    early = all(history.stopped_early(config.training.patience) for history in histories)
    history = History.mean(histories)
    names = [member.digest for member in members]
    values = {**history.to_json(), "stopped_early": early, "mean_of": names}
    write_trained(folder, _averaged(members, config), values, members=names)


def _averaged(members: Sequence[Trained], config: Config) -> keras.Model:
    scan = keras.Input((config.images.height, config.images.width, 1), dtype="uint8", name="scan")
    with arithmetic("float32"):
        loaded = [keras.saving.load_model(member.model, compile=False, safe_mode=True) for member in members]
        # Named anew: the networks of one architecture bear one name, and a model's layers must not.
        parts = [keras.Model(each.input, each.output, name=f"member_{number}") for number, each in enumerate(loaded)]
        mean = keras.layers.Average(name="mean")([part(scan) for part in parts])
    return keras.Model(scan, mean, name="ensemble")
