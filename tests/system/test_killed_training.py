"""A training that is killed, whenever, and run again ends as one that was not, in one MLflow run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.waiting import until
from tests.xray.conftest import TINY, Learned
from xray.config import Workspace, load_config
from xray.data.prepare import clean, normalize, write_prepared

PROJECT = Path(__file__).parents[2]
SECONDS = 300
EPOCHS = 12
SETTINGS = [
    *TINY,
    f"training.epochs={EPOCHS}",
    "training.patience=4",
    "training.batch_size=16",
    "training.learning_rate=0.02",
    "training.precision=float32",
]
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy", "val_auc")

TRAIN = """
import sys
from pathlib import Path
from xray.config import Workspace, load_config
from xray.data.catalog import Catalog
from xray.data.store.pixel_store import PixelStore
from xray.runs.run_context import RunContext
from xray.runs.training_run import train_and_track

home, catalog, store, *settings = sys.argv[1:]
catalog = Catalog(Path(catalog), Path(catalog).name, Path("phantoms"), True)
places = Workspace(home=Path(home))
train_and_track(catalog, PixelStore.open(Path(store)), load_config("quick", settings), RunContext(places))
"""

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


def start(prepared: Learned, home: Path) -> subprocess.Popen[bytes]:
    """Start a trainer in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    places = [str(home), str(prepared.catalog.folder), str(prepared.store.folder)]
    home.mkdir(exist_ok=True)
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, *places, *SETTINGS], cwd=PROJECT, env=environment, stdout=log, stderr=log
        )


def to_the_end(prepared: Learned, home: Path) -> Path:
    """Train to the end, and give the training folder."""
    with start(prepared, home) as trainer:
        assert trainer.wait(SECONDS) == 0, (home / "log").read_text()
    (folder,) = Workspace(home=home).trainings.iterdir()
    return folder


def killed_once(prepared: Learned, home: Path, moment: Callable[[Path], bool]) -> Path:
    """Train until the moment has come, kill -9, and give the training folder."""
    trainings = Workspace(home=home).trainings
    with start(prepared, home) as trainer:

        def came() -> bool:
            assert trainer.poll() is None, (home / "log").read_text()
            return any(moment(folder) for folder in trainings.glob("*"))

        until(came, "the moment to kill it", SECONDS, every=0.002)
        trainer.send_signal(signal.SIGKILL)
        assert trainer.wait(SECONDS) == -signal.SIGKILL
    (folder,) = trainings.iterdir()
    return folder


def after_first_epoch(folder: Path) -> bool:
    return (folder / "epoch-0001").is_dir()


def while_writing_a_later_epoch(folder: Path) -> bool:
    return any(draft.name > ".epoch-0003" for draft in folder.glob(".epoch-*.tmp-*"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def prepared(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """The phantoms, cleaned, normalized to 32 x 32 and split."""
    config, workspace = load_config("quick", SETTINGS), Workspace(home=tmp_path_factory.mktemp("prepared"))
    cleaned = clean(phantoms, workspace)
    store = normalize(cleaned, config, workspace).store
    return Learned(workspace, config, write_prepared(cleaned, store, config, workspace), store)


@pytest.fixture(scope="module")
def unkilled(prepared: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that nobody killed."""
    return to_the_end(prepared, tmp_path_factory.mktemp("unkilled"))


def test_killed_twice_it_ends_as_an_unkilled_one_in_one_run(prepared: Learned, unkilled: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    home = tmp_path / "home"
    for moment in (after_first_epoch, while_writing_a_later_epoch):
        folder = killed_once(prepared, home, moment)
        assert "manifest.json" not in names(folder)
        assert any(name.startswith("epoch-") and ".tmp" not in name for name in names(folder))
    assert to_the_end(prepared, home) == folder
    assert folder.name == unkilled.name
    assert names(folder) == names(unkilled) == ["history.json", "lock", "manifest.json", "model.keras", "run.json"]

    found, expected = (json.loads((one / "history.json").read_text()) for one in (folder, unkilled))
    assert len(expected["epochs"]) >= 5
    assert [found[name] for name in ("best_epoch", "stopped_early", "precision")] == [
        expected[name] for name in ("best_epoch", "stopped_early", "precision")
    ]
    for name in FIGURES:
        values = [[epoch[name] for epoch in history["epochs"]] for history in (found, expected)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)

    client = MlflowClient(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("xray-test")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == json.loads((folder / "run.json").read_text())["run_id"]
    for name in FIGURES:
        sent = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        assert sorted(sent) == [(epoch["epoch"], epoch[name]) for epoch in found["epochs"]]
