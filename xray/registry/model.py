"""The model as it is kept: a pyfunc that holds all it needs of this project, and pins the rest."""

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from PIL import Image

import xray
from xray import config
from xray.data.images import normalizer_digest
from xray.labels import LABELS

REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas", "pillow", "pydantic")
"""What loading and scoring imports; each is pinned at the version that is installed."""

SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.binary, "image")]),
    outputs=Schema([
        ColSpec(DataType.double, "p_pneumonia", required=False),
        ColSpec(DataType.double, "p_pneumonia_raw", required=False),
        ColSpec(DataType.string, "label", required=False),
        ColSpec(DataType.string, "decision", required=False),
        ColSpec(DataType.string, "error", required=False),
        ColSpec(DataType.double, "threshold"),
        ColSpec(DataType.string, "model_version", required=False),
    ]),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the scorer needs beside the network; lies in the model as JSON.

    Attributes:
        height: Rows of a normalized scan.
        width: Columns of a normalized scan.
        fit: "stretch" or "pad".
        normalizer: Digest of the normalizer, checked on loading.
        threshold: 0 to 1, chosen on validation.
        classes: Labels in the order of `label_index`.
    """

    height: int
    width: int
    fit: str
    normalizer: str
    threshold: float
    classes: tuple[str, ...] = LABELS

    @classmethod
    def of(cls, images: config.Images, threshold: float) -> "Settings":
        """Gather the settings of a configuration and the threshold that validation chose."""
        return cls(images.height, images.width, images.fit, normalizer_digest(images), threshold)


def pinned_requirements() -> list[str]:
    """Pin what the model imports at the versions that are installed here."""
    return [f"{name}=={version(name)}" for name in REQUIREMENTS]


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
    with tempfile.TemporaryDirectory() as scratch:
        settings_file = Path(scratch) / "settings.json"
        settings_file.write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")
        package = Path(xray.__file__).parent
        code = Path(scratch) / "xray"
        shutil.copytree(package, code, ignore=shutil.ignore_patterns("__pycache__", "*.tmp-*"))
        mlflow.pyfunc.save_model(
            str(folder),
            mlflow_model=about,
            python_model=str(package / "registry" / "scorer.py"),
            artifacts={"model": str(model), "settings": str(settings_file)},
            code_paths=[str(code)],
            signature=SIGNATURE,
            input_example=pd.DataFrame({"image": [example_image()]}),
            pip_requirements=pinned_requirements(),
            metadata={"classes": list(settings.classes), "threshold": settings.threshold},
        )
