"""A registered model's answer on single files, with the map of its evidence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.pyfunc import FLAVOR_NAME
from numpy.typing import NDArray

from xray import config
from xray.config import Places
from xray.data.images import normalize
from xray.errors import ImageError
from xray.evaluation.explain import pneumonia_maps
from xray.registry.choice import load
from xray.registry.scoring import fetched


@dataclass(frozen=True)
class Explained:
    """A scan, what a model answers on it, and where it finds evidence for pneumonia.

    Attributes:
        pixels: uint8 (height, width), 0 to 255, the scan as the network sees it.
        heat: float32 (height, width), 0 to 1, as `pneumonia_maps` gives it.
        answer: `scorer.COLUMNS` by name, the model's own answer.
    """

    pixels: NDArray[np.uint8]
    heat: NDArray[np.float32]
    answer: Mapping[str, Any]


def explain_files(places: Places, uri: str, files: Mapping[str, bytes]) -> dict[str, Explained]:
    """Let a model answer on image files, and map the evidence in each.

    Args:
        places: Where MLflow's store lies.
        uri: The model's address, or a folder that holds it.
        files: The bytes of image files, by name.

    Returns:
        By name, in the same order.

    Raises:
        ImageError: A file is no scan; it is named.
        RegistryError: There is no such model, the store cannot be reached, or the model needs another normalizer.
    """
    with fetched(places, uri) as folder:
        # Loading checks that what `normalize` gives here is what the network was trained on.
        answers = load(places, str(folder)).predict(pd.DataFrame({"image": list(files.values())}))
        network, images = _inside(folder)
    for name, error in zip(files, answers["error"], strict=True):
        if error is not None:
            reason, _, detail = error.partition(": ")
            raise ImageError(reason, f"{name}: {detail}")
    pixels = np.stack([normalize(data, images).pixels for data in files.values()])
    maps, rows = pneumonia_maps(network, pixels), answers.to_dict("records")
    return {name: Explained(*each) for name, *each in zip(files, pixels, maps, rows, strict=True)}


def _inside(folder: Path) -> tuple[keras.Model, config.Images]:
    """Read the network and the size of its scans from a model's folder."""
    artifacts = Model.load(str(folder)).flavors[FLAVOR_NAME]["artifacts"]
    model, settings = (folder / artifacts[name]["path"] for name in ("model", "settings"))
    values = json.loads(settings.read_text(encoding="utf-8"))
    images = config.Images(height=values["height"], width=values["width"], fit=values["fit"])
    return keras.saving.load_model(model, compile=False, safe_mode=True), images
