"""The model as it is kept: a pyfunc that holds all it needs of this project, and pins the rest."""

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from PIL import Image

import xray
from xray import config
from xray.data.decoding.image_decoder import normalizer_digest
from xray.evaluation.decision.rule import DecisionRule
from xray.tracking.stale_runs import scratch_folder

REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas", "pillow", "simplejpeg", "pydantic")
"""What loading and scoring imports; each is pinned at the version that is installed."""

DICOM = ("pydicom", "imagecodecs")
"""What reads DICOM files: pinned too where the extra is installed, else the model answers what is missing."""


def signature(reading: DecisionRule) -> ModelSignature:
    """Say what a model takes and gives: with more classes than two, it gives the probability of each."""
    double, text = DataType.double, DataType.string
    calibrated, raw, *classes = reading.probability_columns
    columns = [(calibrated, double), (raw, double), ("likeliest_class", text), ("decision", text)]
    columns += [("error", text), ("threshold", double), ("model_version", text)]
    columns += [(name, double) for name in classes]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(kind, name, required=name == "threshold") for name, kind in columns]
    return ModelSignature(inputs=Schema([ColSpec(DataType.binary, "image")]), outputs=Schema(outputs))


@dataclass(frozen=True)
class Settings:
    """What the scorer needs beside the network; lies in the model as JSON.

    Attributes:
        height: Rows of a normalized scan.
        width: Columns of a normalized scan.
        fit: "stretch" or "pad".
        normalizer: Digest of the normalizer, checked on loading.
        reading: How the network's outputs are read; chosen on validation.
    """

    height: int
    width: int
    fit: str
    normalizer: str
    reading: DecisionRule

    @classmethod
    def of(cls, images: config.Images, reading: DecisionRule) -> "Settings":
        """Gather the settings of a configuration and what validation chose."""
        return cls(images.height, images.width, images.fit, normalizer_digest(images), reading)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON-like values."""
        return {**asdict(self), "reading": self.reading.to_dict()}


def pinned_requirements() -> list[str]:
    """Pin what the model imports at the versions that are installed here."""
    pins = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    for name in DICOM:
        with suppress(PackageNotFoundError):
            pins.append(f"{name}=={version(name)}")
    return pins


def example_image(side: int = 64) -> bytes:
    """Draw a gray PNG for the input example: two dark ovals on a lighter ground, no one's scan."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    lungs = ((np.abs(x) - 0.42) / 0.3) ** 2 + (y / 0.7) ** 2 < 1
    buffer = BytesIO()
    Image.fromarray(np.where(lungs, 60, 170).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def save(folder: Path, model: Path, settings: Settings, about: Model | None = None) -> None:
    """Write the pyfunc into a folder that is empty or not there: network, settings, `xray`'s code, pins.

    Args:
        folder: Where to.
        model: `model.keras`.
        settings: What the scorer needs beside it.
        about: MLflow's record of run and model, when it is logged.
    """
    with scratch_folder("xray-model") as scratch:
        settings_file = scratch / "settings.json"
        settings_file.write_text(json.dumps(settings.to_dict(), indent=2), encoding="utf-8")
        package = Path(xray.__file__).parent
        code = scratch / "xray"
        shutil.copytree(package, code, ignore=shutil.ignore_patterns("__pycache__", "*.tmp-*"))
        mlflow.pyfunc.save_model(
            str(folder),
            mlflow_model=about,
            python_model=str(package / "models" / "pyfunc.py"),
            artifacts={"model": str(model), "settings": str(settings_file)},
            code_paths=[str(code)],
            signature=signature(settings.reading),
            input_example=pd.DataFrame({"image": [example_image()]}),
            pip_requirements=pinned_requirements(),
            metadata={"classes": list(settings.reading.classes), "threshold": settings.reading.threshold},
        )
