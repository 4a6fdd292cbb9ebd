"""What the rooms' tests share: one small training on phantoms, a tiny network, and MLflow stores copied from one.

Nothing heavy is imported before a fixture asks for it: most tests of the lower rooms need no TensorFlow and no MLflow.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from xray.config import Config, Workspace, load_config
from xray.data.catalog import Catalog
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.store.pixel_store import PixelStore
from xray.labels import decide

if TYPE_CHECKING:
    from xray.evaluation.evaluate import Evaluated
    from xray.evaluation.inspection.inspect import Inspected
    from xray.runs.training_run import Recorded
    from xray.tracking.run_identity import RunFacts
    from xray.tracking.tracker import Tracker
    from xray.training.fit import Trained

ROOMS_WITHOUT_A_LOOK = {"tracking", "models", "runs", "promotion", "tuning"}

SIDE = 32
"""Rows and columns of the tiny network's scans."""

TINY = [
    "images.height=32",
    "images.width=32",
    "training.epochs=2",
    "training.batch_size=32",
    "evaluation.bootstrap_draws=200",
    "registry.experiment=xray-test",
    "registry.model_name=xray-classifier-test",
]
"""Settings that make a recipe small enough for a test."""


@dataclass(frozen=True)
class Learned:
    """What a training needs: prepared phantoms, and the configuration they were prepared with."""

    workspace: Workspace
    config: Config
    catalog: Catalog
    store: PixelStore


@pytest.fixture(scope="session")
def prepared(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """The phantoms, cleaned, normalized to 32 x 32 and split. Read only."""
    config = load_config("quick", TINY)
    workspace = Workspace(home=tmp_path_factory.mktemp("prepared"))
    cleaned = clean(phantoms, workspace)
    store = normalize(cleaned, config, workspace).store
    return Learned(workspace, config, write_prepared(cleaned, store, config, workspace), store)


@pytest.fixture
def scored() -> pd.DataFrame:
    """Sixty TEST scans of thirty patients, two in three pneumonia, scored well but not perfectly; none is decided."""
    generator = np.random.default_rng(5)
    place = np.arange(60)
    positive = place % 3 > 0
    p = np.clip(np.where(positive, 0.75, 0.3) + generator.normal(scale=0.2, size=60), 0, 1).round(2)
    return pd.DataFrame(
        {
            "image_id": [f"scan{number:02d}.jpeg" for number in place],
            "sha256": [f"{number:016x}" for number in generator.permutation(60)],
            "patient_id": [f"person{number // 2}" for number in place],
            "label": np.where(positive, "pneumonia", "normal"),
            "subtype": np.where(~positive, "normal", np.where(place % 3 == 1, "bacterial", "covid-19")),
            "split": "test",
            "p_pneumonia": p,
        }
    )


@pytest.fixture
def decided(scored: pd.DataFrame) -> pd.DataFrame:
    """The same, decided at 0.6, with those from 0.5 to 0.7 referred."""
    return scored.assign(decision=decide(scored["p_pneumonia"].to_numpy(), 0.6, 0.5, 0.7))


@pytest.fixture(scope="module", autouse=True)
def small_plots(request: pytest.FixtureRequest) -> Iterator[None]:
    """Draw plots a third as wide in the rooms above evaluation: each evaluation draws nine, and no test there looks."""
    if request.path.relative_to(Path(__file__).parent).parts[0] not in ROOMS_WITHOUT_A_LOOK:
        yield
        return
    from xray.evaluation.plots import style

    with pytest.MonkeyPatch.context() as small:
        small.setattr(style, "DPI", 50)
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing else; making one takes seconds."""
    from xray.tracking.store import store_of

    workspace = Workspace(home=tmp_path_factory.mktemp("migrated"))
    workspace.mlruns.mkdir()
    store_of(workspace).client()
    return workspace.mlruns / "mlflow.db"


@pytest.fixture
def workspace(tmp_path: Path, migrated: Path) -> Workspace:
    """A home with an empty store."""
    workspace = Workspace(home=tmp_path / "home")
    workspace.mlruns.mkdir(parents=True)
    shutil.copy(migrated, workspace.mlruns / "mlflow.db")
    return workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training folder."""
    folder = tmp_path / "home" / "data" / "trainings" / "abc"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def facts() -> "RunFacts":
    """What a run is told of itself."""
    from xray.tracking.run_identity import DataSet, RunFacts

    return RunFacts(
        experiment="xray-test",
        name="quick-abc",
        params={"training.epochs": 3, "images.fit": "stretch"},
        tags={"recipe": "quick", "catalog": "0123456789abcdef", "git_commit": None},
        data=DataSet("coronahack", "0123456789abcdef", "/somewhere/scans", {"label": "string"}, {"train": 80}),
    )


@pytest.fixture
def opened(workspace: Workspace, folder: Path, facts: "RunFacts") -> "Callable[[], Tracker]":
    """Open the training's run, as a process that starts anew does."""
    from xray.tracking.tracker import open_run

    return lambda: open_run(workspace, folder, facts)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `model.keras` of a tiny network with random weights: uint8 (n, 32, 32, 1) in, P(normal) out."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    path = tmp_path_factory.mktemp("network") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The home that holds the trainings and evaluations below."""
    return Workspace(home=tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="session")
def trained(home: Workspace, prepared: Learned) -> "Trained":
    """A training of the phantoms."""
    from xray.runs.run_context import RunContext
    from xray.runs.training_run import train_and_track

    return train_and_track(prepared.catalog, prepared.store, prepared.config, RunContext(home, "a-flow-run"))


@pytest.fixture(scope="session")
def evaluated(trained: "Trained", prepared: Learned) -> "Evaluated":
    """Its evaluation."""
    from xray.evaluation.evaluate import evaluate

    return evaluate(trained, prepared.catalog, prepared.store, prepared.config)


@pytest.fixture(scope="session")
def inspected(trained: "Trained", evaluated: "Evaluated", prepared: Learned) -> "Inspected":
    """What was seen on looking into it."""
    from xray.evaluation.inspection.inspect import inspect

    return inspect(trained, evaluated, prepared.catalog, prepared.store, prepared.config)


@pytest.fixture(scope="session")
def recorded(
    trained: "Trained", evaluated: "Evaluated", inspected: "Inspected", home: Workspace, prepared: Learned
) -> "Recorded":
    """Where it was recorded, as version 1."""
    from xray.runs.run_context import RunContext
    from xray.runs.training_run import record

    return record(trained, evaluated, prepared.catalog, prepared.config, RunContext(home))


@pytest.fixture(scope="session")
def strict(prepared: Learned) -> Config:
    """The same training's settings with another threshold rule, for scans of which few are pneumonia."""
    evaluation = prepared.config.evaluation.model_copy(update={"threshold": "sensitivity>=0.98", "prevalence": 0.1})
    return prepared.config.model_copy(update={"evaluation": evaluation})


@pytest.fixture(scope="session")
def recorded_strictly(
    recorded: "Recorded", trained: "Trained", strict: Config, home: Workspace, prepared: Learned
) -> "Recorded":
    """The same training, evaluated once more by other rules and recorded as version 2."""
    from xray.evaluation.evaluate import evaluate
    from xray.runs.run_context import RunContext
    from xray.runs.training_run import record

    evaluated = evaluate(trained, prepared.catalog, prepared.store, strict)
    return record(trained, evaluated, prepared.catalog, strict, RunContext(home))


@pytest.fixture(scope="session")
def recorded_second(recorded_strictly: "Recorded", home: Workspace, prepared: Learned) -> "Recorded":
    """Another training, with another seed, recorded as version 3."""
    from xray.evaluation.evaluate import evaluate
    from xray.runs.run_context import RunContext
    from xray.runs.training_run import record, train_and_track

    training = prepared.config.training.model_copy(update={"seed": 1})
    config = prepared.config.model_copy(update={"training": training})
    trained = train_and_track(prepared.catalog, prepared.store, config, RunContext(home))
    evaluated = evaluate(trained, prepared.catalog, prepared.store, config)
    return record(trained, evaluated, prepared.catalog, config, RunContext(home))
