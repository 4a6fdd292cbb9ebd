"""Several trainings averaged into one network, in a folder that looks like a training's."""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from xray.config import Config, digest_of
from xray.errors import TrainingError
from xray.files.checked_io import writing
from xray.keras_import import quiet_import
from xray.training.fit import Trained, is_finished

ENSEMBLE_VERSION = 1
"""Raised when a change of code makes another network of the same members."""


def ensemble(members: Sequence[Trained], config: Config, root: Path) -> Trained:
    """Average the outputs of several networks in one network, or find it.

    It takes uint8 (n, height, width, 1), 0 to 255, and gives the mean of its members' outputs in float32. All weights
    are inside. Its layers are the members, each a model of its own, and the average over them (Lakshminarayanan et al.,
    "Simple and scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017).

    Args:
        members: Finished trainings of the same scans, at least two, in order of their seeds.
        config: The whole configuration.
        root: Folder of the trainings. A `run.json` may lie in the ensemble's own folder already.

    Returns:
        The ensemble. No epoch was trained for it; what its epochs mean says `History.mean`.

    Raises:
        TrainingError: There are fewer than two members.
        StoreError: The folder could not be written.
    """
    if len(members) < 2:
        raise TrainingError(f"an ensemble needs at least two members. Received: {len(members)}")
    digest = ensemble_digest([member.digest for member in members])
    folder = root / digest
    with writing(f"the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not is_finished(folder, exactly=True):
                with quiet_import():
                    from xray.training.build_ensemble import write_average
                write_average(folder, members, config)
    return Trained(folder, digest, trained_epochs=0)


def ensemble_digest(members: Sequence[str]) -> str:
    """Name an ensemble by its members.

    Args:
        members: The trainings' digests, in order of their seeds.
    """
    return digest_of({"version": ENSEMBLE_VERSION, "members": list(members)})
