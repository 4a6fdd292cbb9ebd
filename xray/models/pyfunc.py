"""The registered model: bytes of image files in, decisions out.

MLflow copies this file into the model and runs it on loading (models from code), with the model's own copy of the
`xray` package; hence its last line. It imports nothing that the model's pinned requirements leave out.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.utils.yaml_utils import read_yaml
from numpy.typing import NDArray

from xray import config
from xray.data.decoding.image_decoder import normalize, normalizer_digest
from xray.errors import ImageError, RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.keras_import import own_keras
from xray.training.predict import predict

IMAGE = "image"
BATCH = 32
COLUMNS = ("likeliest_class", "decision", "error", "threshold", "model_version")
"""What every row of the answer holds beside the probabilities.

`decision` alone is what the model answers: the finding, normal or refer. The likeliest class is no decision, for it
knows neither the threshold nor the band of referred scores. Of a file that is no scan, probabilities, class and
decision are null and `error` says why.
"""


class Scorer(PythonModel):
    """Normalizes each file as the training's shards were, scores it, and decides at the stored threshold."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network and its settings.

        Raises:
            RegistryError: The `xray` on the path normalizes in another way than the model was trained with.
        """
        with own_keras():
            import keras  # here, since logging a model runs this file and needs no TensorFlow

        model, settings = (Path(context.artifacts[name]) for name in ("model", "settings"))
        values = json.loads(settings.read_text(encoding="utf-8"))
        self._images = config.Images(height=values["height"], width=values["width"], fit=values["fit"])
        digest = normalizer_digest(self._images)
        if digest != values["normalizer"]:
            raise RegistryError(f"this model needs the normalizer {values['normalizer']}. Received: {digest}")
        self._reading = DecisionRule.from_dict(values["reading"])
        self._version = _registered_as(model.parent.parent)
        self._model = keras.saving.load_model(model, compile=False, safe_mode=True)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score image files.

        Args:
            context: MLflow's; not used.
            model_input: A row a file; `image` holds its raw bytes (base64 where it comes as JSON).
            params: None are known.

        Returns:
            `p_FINDING`, `p_FINDING_raw`, `COLUMNS` and, with more classes than two, `p_CLASS` for each: a row a file in
            the same order and with the same index. Probabilities are float64, 0 to 1;
            likeliest_class one of the model's classes, decision the finding, normal or refer.
        """
        files = list(model_input[IMAGE])
        parts = [self._score(files[start : start + BATCH]) for start in range(0, len(files), BATCH)]
        answer = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=self._columns())
        return _with_nulls(answer).set_index(model_input.index)

    def explain(self, files: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Map the evidence for the finding in image files.

        `model_process_main.py` of any later version calls it by this name, so it stays, whatever it rests on is called.

        Args:
            files: Bytes of image files, all of them scans.

        Returns:
            uint8 (n, height, width), 0 to 255, the scans as the network sees them, and float32 (n, height, width),
            0 to 1, as `evidence_maps` gives it.
        """
        from xray.evaluation.inspection.saliency import evidence_maps  # here, since it loads TensorFlow

        pixels = np.stack([normalize(data, self._images).pixels for data in files])
        return pixels, evidence_maps(self._model, pixels)

    def _columns(self) -> list[str]:
        calibrated, raw, *classes = self._reading.probability_columns
        return [calibrated, raw, *COLUMNS, *classes]

    def _score(self, files: list[Any]) -> pd.DataFrame:
        pixels, errors = zip(*(self._read(data) for data in files), strict=True)
        good = [row for row, picture in enumerate(pixels) if picture is not None]
        columns = self._columns()
        answer = pd.DataFrame({name: pd.Series([None] * len(files), dtype=object) for name in columns})
        if good:
            read = self._reading.read(predict(self._model, np.stack([pixels[row] for row in good]), BATCH))
            answer.loc[good, list(read.columns)] = read.astype(object).to_numpy()
        answer["error"], answer["threshold"], answer["model_version"] = errors, self._reading.threshold, self._version
        numbers = [name for name in columns if name.startswith("p_")]
        return answer.astype(dict.fromkeys(numbers, "float64"))

    def _read(self, data: Any) -> tuple[NDArray[np.uint8] | None, str | None]:
        if not isinstance(data, bytes | bytearray | memoryview):
            return None, f"image must be the bytes of a file. Received: {type(data).__name__}"
        try:
            return normalize(bytes(data), self._images).pixels, None
        except ImageError as error:
            return None, str(error)


def _with_nulls(answer: pd.DataFrame) -> pd.DataFrame:
    """Say None where a value is missing: a NaN would make a server's answer no JSON."""
    return answer.apply(lambda column: column.astype(object).where(column.notna(), None) if column.hasnans else column)


def _registered_as(folder: Path) -> str | None:
    """Read `name/version` where the model came from the registry; MLflow notes it on fetching."""
    try:
        meta = read_yaml(str(folder), "registered_model_meta")
    except (mlflow.MlflowException, OSError):
        return None
    return f"{meta['model_name']}/{meta['model_version']}"


mlflow.models.set_model(Scorer())
