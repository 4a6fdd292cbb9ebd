"""A model's answer with its map: the answer is the pyfunc's own, the map its network's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from xray import config
from xray.config import Places
from xray.data.images import normalize
from xray.data.phantom import write_phantoms
from xray.errors import ImageError, RegistryError
from xray.evaluation.explain import pneumonia_maps
from xray.evaluation.reading import Reading
from xray.registry.explaining import explain_files
from xray.registry.model import Settings, save
from xray.registry.registration import Registration, register
from xray.registry.tracking import Tracker
from xray.training.architectures import build

IMAGES = config.Images(height=32, width=32, fit="pad")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `model.keras` of a network with its first weights."""
    path = tmp_path_factory.mktemp("network") / "model.keras"
    build(config.Model(architecture="quick"), IMAGES, seed=0).save(path)
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, network: Path) -> Path:
    """The pyfunc on disk, at threshold 0.55."""
    folder = tmp_path_factory.mktemp("kept") / "model"
    save(folder, network, Settings.of(IMAGES, Reading.at(0.55)))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of three phantoms of 50 x 40, by name."""
    folder = tmp_path_factory.mktemp("files")
    write_phantoms(folder, scans=40, seed=1, size=(50, 40))
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.jpeg"))[:3]}


def test_the_answer_is_the_models_own_and_the_map_that_of_its_network(
    places: Places, kept: Path, files: dict[str, bytes], network: Path
) -> None:
    found = explain_files(places, str(kept), files)
    assert list(found) == list(files)
    answers = mlflow.pyfunc.load_model(str(kept)).predict(pd.DataFrame({"image": list(files.values())}))
    assert [each.answer for each in found.values()] == answers.to_dict("records")
    pixels = np.stack([normalize(data, IMAGES).pixels for data in files.values()])
    np.testing.assert_array_equal(np.stack([each.pixels for each in found.values()]), pixels)
    maps = np.stack([each.heat for each in found.values()])
    np.testing.assert_allclose(maps, pneumonia_maps(keras.saving.load_model(network), pixels), atol=1e-6)
    assert maps.max() == 1


def test_a_registered_model_says_its_version(
    opened: Callable[[], Tracker], places: Places, network: Path, files: dict[str, bytes]
) -> None:
    registry = config.Registry(experiment="xray-test", model_name="xray-test")
    settings = Settings.of(IMAGES, Reading.at(0.5))
    registered = register(opened(), network, settings, Registration(registry, {}, "# the card"))
    found = explain_files(places, registered.uri, files)
    assert {each.answer["model_version"] for each in found.values()} == {"xray-test/1"}


def test_a_file_that_is_no_scan_is_named(places: Places, kept: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(ImageError, match=r"^not-an-image: page: [^\n]+$"):
        explain_files(places, str(kept), {**files, "page": b"<html>"})


def test_a_model_of_another_normalizer_is_refused(
    places: Places, kept: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    other = tmp_path / "model"
    shutil.copytree(kept, other)
    settings = other / "artifacts" / "settings.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "normalizer": "0123"}))
    with pytest.raises(RegistryError, match="this model needs the normalizer 0123"):
        explain_files(places, str(other), files)


def test_no_such_model_is_one_line(places: Places, files: dict[str, bytes], tmp_path: Path) -> None:
    for uri in ("models:/nobody/1", str(tmp_path)):
        with pytest.raises(RegistryError, match=r"^model .+ must be loadable. Received: [^\n]+$"):
            explain_files(places, uri, files)
