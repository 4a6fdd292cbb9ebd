"""A home with versions of a model that were trained on one catalog, as far as a judgement can tell."""

import dataclasses
import shutil
from pathlib import Path

from tests.xray.conftest import TINY, Learned
from xray import config
from xray.config import Workspace, load_config
from xray.data.prepare import clean, normalize, write_prepared
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings
from xray.models.register import Registration, register
from xray.tracking.run_identity import DataSet, RunFacts
from xray.tracking.tracker import open_run

NAME = "xray-test"


def contenders(
    home: Path, database: Path | None, prepared: Learned, network: Path, thresholds: tuple[float, ...] = (0.4, 0.6)
) -> Workspace:
    """Register one network at several thresholds: version 1 at the first, and so on; the last is the challenger.

    Args:
        home: A new folder.
        database: MLflow's, with its tables and nothing else; None to make one.
        prepared: The catalog.
        network: A `model.keras` for 32 x 32.
        thresholds: One a version.
    """
    workspace = Workspace(home=home)
    workspace.mlruns.mkdir(parents=True)
    if database is not None:
        shutil.copy(database, workspace.mlruns / "mlflow.db")
    shutil.copytree(prepared.workspace.prepared, workspace.prepared)
    catalog = prepared.catalog
    tags = {"recipe": "quick", "catalog": catalog.digest}
    facts = RunFacts("xray-test", "", {}, tags, DataSet(catalog.data.name, catalog.digest, str(catalog.data)))
    registry = config.Registry(experiment="xray-test", model_name=NAME)
    for number, threshold in enumerate(thresholds, start=1):
        folder = workspace.trainings / str(number)
        folder.mkdir(parents=True)
        tracker = open_run(workspace, folder, dataclasses.replace(facts, name=f"quick-{number}"))
        settings = Settings.of(config.Images(height=32, width=32), DecisionRule.at(threshold))
        registered = register(tracker, network, settings, Registration(registry, tags, "# the card"))
        assert registered.version == str(number)
    return workspace


def prejudiced(root: Path, phantoms: Path) -> Workspace:
    """Make a home of two versions that call every scan pneumonia, which no floor lets pass; nothing is shared."""
    import keras

    recipe, workspace = load_config("quick", TINY), Workspace(home=root / "prepared")
    cleaned = clean(phantoms, workspace)
    store = normalize(cleaned, recipe, workspace).store
    prepared = Learned(workspace, recipe, write_prepared(cleaned, store, recipe, workspace), store)
    dense = keras.layers.Dense(1, "sigmoid", use_bias=False, kernel_initializer="zeros")
    network = keras.Sequential([keras.Input((32, 32, 1), dtype="uint8"), keras.layers.Flatten(), dense])
    network.save(root / "model.keras")
    return contenders(root / "home", None, prepared, root / "model.keras", (0.4, 0.45))
