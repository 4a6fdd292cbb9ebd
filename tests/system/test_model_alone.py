"""The kept model stands alone: a fresh environment with its pins, no project, no folder of ours, no pickle."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.system.conftest import PROJECT, Command
from tests.system.started import answers, free_ports
from tests.system.waiting import until
from xray import config
from xray.config import Workspace
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings, example_image, save
from xray.models.register import Registration, register
from xray.scoring.select_model import score_files, select_model
from xray.tracking.run_identity import DataSet, RunFacts
from xray.tracking.store import store_of
from xray.tracking.tracker import open_run

SCORE = """
import json, sys
from pathlib import Path
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict(pandas.DataFrame({"image": [Path(sys.argv[2]).read_bytes(), b"no scan"]}))
import xray
print(json.dumps({"rows": found.to_dict("records"), "xray": xray.__file__}))
"""

NAME = "xray-alone"
SETTINGS = Settings.of(config.Images(height=32, width=32), DecisionRule.at(0.5))

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
    save(folder / "kept", folder / "model.keras", SETTINGS)
    return folder / "kept"


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """The Python of a new virtual environment that has the model's requirements.txt and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    # pip fetches and unpacks anew what uv, which set up the environment of the tests, links from its cache.
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    subprocess.run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    subprocess.run([*install, "--quiet", "-r", str(kept / "requirements.txt")], check=True)
    return python


def strangers_variables(**added: str) -> dict[str, str]:
    """Give the environment of somebody who has MLflow and nothing of ours."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    quiet = {"DO_NOT_TRACK": "true", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return variables | quiet | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"} | added


OLDER = "e8c455c"
"""The last commit before the models' answers and their maps got other names."""

KEEP = """
import sys
from pathlib import Path
from xray import config
from xray.evaluation.reading import Reading
from xray.registry.model import Settings, save
from xray.training.architectures import build
folder, images = Path(sys.argv[1]), config.Images(height=32, width=32)
build(config.Model(architecture="quick"), images, seed=0).save(folder / "model.keras")
save(folder / "kept", folder / "model.keras", Settings.of(images, Reading(0.5, 0.4, 0.6)))
"""


@pytest.fixture(scope="module")
def kept_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyfunc that the code of an older commit has kept, in a process that has this code only."""
    folder = tmp_path_factory.mktemp("before")
    code = subprocess.run(["git", "-C", str(PROJECT), "archive", OLDER, "xray"], capture_output=True, check=False)
    if code.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"this clone does not reach back to {OLDER}")
    assert code.returncode == 0, code.stderr.decode()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=code.stdout, check=True)
    variables = strangers_variables(PYTHONPATH=str(folder), CUDA_VISIBLE_DEVICES="-1")
    subprocess.run([sys.executable, "-c", KEEP, str(folder)], cwd=folder, env=variables, check=True)
    return folder / "kept"


def test_a_model_kept_by_older_code_predicts_and_explains(kept_before: Path, xray: Command) -> None:
    assert (
        "label" in (kept_before / "scorer.py").read_text()
        and "def explain" not in (kept_before / "scorer.py").read_text()
    )
    (xray.folder / "scan.png").write_bytes(example_image())
    (xray.folder / "home").mkdir()
    model = ["--model", str(kept_before), "--home", "home"]
    told = xray("predict", "scan.png", "--json", *model)
    assert told.code == 0, told.err
    (row,) = json.loads(told.out)
    assert row["likeliest_class"] in ("pneumonia", "normal") and "label" not in row
    drawn = xray("explain", "scan.png", "--output", "maps", *model)
    assert (drawn.code, drawn.err) == (0, "")
    assert f"{row['p_pneumonia']:.4f}" in drawn.out and row["decision"] in drawn.out
    with Image.open(xray.folder / "maps" / "scan-map.png") as picture:
        assert picture.width > 800


def test_it_scores_as_here_where_the_project_is_not(kept: Path, fresh_python: Path, tmp_path: Path) -> None:
    import mlflow.pyfunc
    import pandas as pd

    moved = tmp_path / "moved"
    shutil.copytree(kept, moved)
    (tmp_path / "scan.png").write_bytes(example_image())
    child = subprocess.run(
        [str(fresh_python), "-c", SCORE, str(moved), "scan.png"],
        cwd=tmp_path,
        env=strangers_variables(),
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


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Workspace:
    """A home in which the network is registered, and champion."""
    workspace = Workspace(home=tmp_path_factory.mktemp("champion"))
    folder = workspace.trainings / "one"
    folder.mkdir(parents=True)
    workspace.mlruns.mkdir()
    tracker = open_run(workspace, folder, RunFacts("alone", "alone", {}, {}, DataSet("none", "0123", str(folder))))
    tags = Registration(config.Registry(model_name=NAME), {}, "# the card")
    registered = register(tracker, kept.parent / "model.keras", SETTINGS, tags)
    store_of(workspace).client().set_registered_model_alias(NAME, "champion", registered.version)
    return workspace


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, champion: Workspace, fresh_python: Path) -> Iterator[str]:
    """The address of `mlflow models serve` on the champion, in the fresh environment, in a folder of its own."""
    folder = tmp_path_factory.mktemp("served")
    (port,) = free_ports(1)
    store = {"MLFLOW_TRACKING_URI": store_of(champion).uri}
    # The environment's own programs come first, as after `activate`: MLflow calls uvicorn by name.
    store["PATH"] = f"{fresh_python.parent}:{os.environ['PATH']}"
    words = ["models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local"]
    command = [str(fresh_python), "-m", "mlflow", *words, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=strangers_variables(**store), stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: server.poll() is not None or answers(f"http://127.0.0.1:{port}/ping"), "the model is served")
        assert server.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def test_a_server_of_mlflows_own_gives_the_score_that_predict_prints(
    champion: Workspace, served: str, tmp_path: Path
) -> None:
    buffer = BytesIO()
    Image.open(BytesIO(example_image())).save(buffer, format="JPEG", quality=90)
    jpeg = buffer.getvalue()
    body = {"dataframe_split": {"columns": ["image"], "data": [[base64.b64encode(jpeg).decode()]]}}
    answer = httpx.post(f"{served}/invocations", json=body, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["predictions"]
    choice = select_model(champion, NAME)
    scan = tmp_path / "scan.jpeg"
    scan.write_bytes(jpeg)
    (here,) = score_files(champion, choice.uri, [scan])
    assert choice.how == "champion"
    assert row["p_pneumonia"] == pytest.approx(here["p_pneumonia"], abs=1e-6)
    assert (row["decision"], row["threshold"]) == (here["decision"], here["threshold"])
    assert row["model_version"] == here["model_version"] == f"{NAME}/1"
