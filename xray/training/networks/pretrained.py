"""Files of weights that a backbone starts from. Imports no Keras: a command looks at them before it starts."""

import hashlib
import http.client
import os
import shutil
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.config import Model
from xray.errors import StoreError, TrainingError
from xray.files.atomic import whole_file

PUBLISHED = "https://storage.googleapis.com/tensorflow/keras-applications/"
"""Where Keras publishes the weights of `keras.applications`."""

ANSWER_SECONDS = 15.0
"""How long the network may keep silent; Keras's own download has no such limit."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Published:
    """Weights for ImageNet, without the top, as `keras.applications` names and checks them.

    Attributes:
        path: Below `PUBLISHED`.
        md5: Of the file, where Keras knows it.
    """

    path: str
    md5: str | None = None

    @property
    def name(self) -> str:
        """The file's name, there and in Keras's folder."""
        return self.path.rpartition("/")[2]


IMAGENET = {
    "mobilenet_v2": Published("mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"),
    "mobilenet_v3_small": Published(
        "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5", "d3e8ec802a04aa4fc771ee12a9a9b836"
    ),
    "efficientnet_v2_b0": Published("efficientnet_v2/efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"),
    "densenet121": Published(
        "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5", "30ee3e1110167f948a6b9946edeeb738"
    ),
    "resnet50_v2": Published(
        "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "fac2f116257151a9d068a22e544a4917"
    ),
}


def weights_file(model: Model) -> Path | None:
    """Find the weights that a network starts from, and fetch them if they are Keras's and not here yet.

    Args:
        model: Names the backbone and its weights.

    Returns:
        A file; None where the seed draws all weights.

    Raises:
        TrainingError: There is no such file, it is none of weights, or it cannot be fetched.
        StoreError: Keras's folder cannot be written.
    """
    if model.weights == "none":
        return None
    if model.weights == "imagenet":
        return _fetched(IMAGENET[model.backbone])
    file = Path(model.weights)
    try:
        hdf5 = _is_hdf5(file)
    except OSError as error:
        raise TrainingError(f"model.weights must be readable. Received: {file} ({error.strerror})") from error
    if not hdf5 or file.suffix != ".h5":  # by its name Keras knows how to read it
        raise TrainingError(f"model.weights must be none, imagenet, or an HDF5 file named .h5. Received: {file}")
    return file


def what_it_starts_from(model: Model) -> dict[str, Any]:
    """Say what decides a network's first weights, beside the seed: of a file its content, not its place.

    Args:
        model: The network's settings.

    Returns:
        The settings that a training's digest is made of.

    Raises:
        TrainingError: The file cannot be had.
    """
    file = weights_file(model)
    return model.digest_values() if file is None else {**model.digest_values(), "weights": _digest(file, "sha256")}


def _fetched(published: Published) -> Path:
    """Look for a file where Keras keeps it, and fetch it to there, whole or not at all."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "models"
    file = folder / published.name
    if file.is_file():
        return file
    with ExitStack() as ends:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = ends.enter_context(whole_file(file))
            draft.touch()
        except OSError as error:
            raise StoreError(f"Keras's folder must be writable. Received: {folder} ({error.strerror})") from error
        try:
            _fetch(PUBLISHED + published.path, draft)
            _require_whole(draft, published)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(
                f"model.weights=imagenet needs {published.name}: copy it to {folder}, or set model.weights=FILE. "
                f"Received: {reason} from {PUBLISHED}{published.path}"
            ) from error
    return file


def _fetch(address: str, draft: Path) -> None:
    opener = urllib.request.build_opener()
    with opener.open(address, timeout=ANSWER_SECONDS) as answer, draft.open("wb") as file:
        shutil.copyfileobj(answer, file)
        promised = int(answer.headers.get("Content-Length") or file.tell())
        if file.tell() != promised:
            raise ValueError(f"{file.tell():,} of {promised:,} bytes")


def _require_whole(draft: Path, published: Published) -> None:
    if not _is_hdf5(draft):
        raise ValueError("a file that is not HDF5")
    found = _digest(draft, "md5")
    if found != (published.md5 or found):
        raise ValueError(f"a file with MD5 {found} rather than {published.md5}")


def _is_hdf5(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_SIGNATURE)) == _SIGNATURE


def _digest(file: Path, algorithm: str) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()
