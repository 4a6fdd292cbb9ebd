"""The kept model stands alone: a fresh environment with its pins, no project, no folder of ours, no pickle."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xray import config
from xray.registry.model import Settings, example_image, save

SCORE = """
import json, sys
from pathlib import Path
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict(pandas.DataFrame({"image": [Path(sys.argv[2]).read_bytes(), b"no scan"]}))
import xray
print(json.dumps({"rows": found.to_dict("records"), "xray": xray.__file__}))
"""

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyfunc around a tiny network."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    folder = tmp_path_factory.mktemp("alone")
    model.save(folder / "model.keras")
    save(folder / "kept", folder / "model.keras", Settings.of(config.Images(height=32, width=32), 0.5))
    return folder / "kept"


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """The Python of a new virtual environment that has the model's requirements.txt and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    subprocess.run([*install, "--quiet", "-r", str(kept / "requirements.txt")], check=True)
    return python


def test_it_scores_as_here_where_the_project_is_not(kept: Path, fresh_python: Path, tmp_path: Path) -> None:
    import mlflow.pyfunc
    import pandas as pd

    moved = tmp_path / "moved"
    shutil.copytree(kept, moved)
    (tmp_path / "scan.png").write_bytes(example_image())
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    variables |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "DO_NOT_TRACK": "true", "TF_CPP_MIN_LOG_LEVEL": "3"}
    child = subprocess.run(
        [str(fresh_python), "-c", SCORE, str(moved), "scan.png"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    answer = json.loads(child.stdout.splitlines()[-1])
    assert answer["xray"] == str(moved / "code" / "xray" / "__init__.py")
    here = mlflow.pyfunc.load_model(str(kept)).predict(pd.DataFrame({"image": [example_image()]}))
    good, bad = answer["rows"]
    assert good["p_pneumonia"] == pytest.approx(here["p_pneumonia"][0], abs=1e-5)
    assert good["decision"] == here["decision"][0]
    assert bad["p_pneumonia"] is None and bad["error"].startswith("not-an-image")
