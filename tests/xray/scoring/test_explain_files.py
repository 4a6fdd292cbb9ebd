"""A model's answer with its map: both by the code that the model was kept with."""

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
from xray.config import Workspace
from xray.data.decoding.image_decoder import normalize
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.errors import ImageError, RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.inspection.saliency import evidence_maps
from xray.models.package import Settings, save
from xray.models.register import Registration, register
from xray.scoring.explain_files import explain_files
from xray.tracking.tracker import Tracker
from xray.training.networks.architectures import build

pytestmark = pytest.mark.long(40)

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
    save(folder, network, Settings.of(IMAGES, DecisionRule.at(0.55)))
    return folder


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """The same with code of its own, whose scorer cannot explain yet, and whose maps are half as bright."""
    folder = tmp_path_factory.mktemp("older") / "model"
    shutil.copytree(kept, folder)
    code = folder / "code" / "xray"
    # where the code of that time had them
    shutil.copy(code / "data" / "decoding" / "image_decoder.py", code / "data" / "images.py")
    shutil.move(code / "evaluation" / "inspection" / "saliency.py", code / "evaluation" / "explain.py")
    own = {
        folder / "pyfunc.py": ("def explain(", "def not_yet("),
        code / "evaluation" / "explain.py": (
            "return _to_its_own_maximum(maps)\n",
            "return _to_its_own_maximum(maps) / 2\n\n\npneumonia_maps = evidence_maps  # as it was called\n",
        ),
    }
    for path, (ours, theirs) in own.items():
        assert path.read_text().count(ours) == 1
        path.write_text(path.read_text().replace(ours, theirs))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of three phantoms of 50 x 40, by name."""
    folder = tmp_path_factory.mktemp("files")
    write_phantoms(folder, scans=40, seed=1, size=(50, 40))
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.jpeg"))[:3]}


def test_the_answer_is_the_models_own_and_the_map_that_of_its_network(
    workspace: Workspace, kept: Path, files: dict[str, bytes], network: Path
) -> None:
    answered = explain_files(workspace, str(kept), files)
    assert list(answered) == list(files)
    found, data = list(answered.values()), list(files.values())
    answers = mlflow.pyfunc.load_model(str(kept)).predict(pd.DataFrame({"image": data}))
    assert [each.answer["decision"] for each in found] == answers["decision"].tolist()
    np.testing.assert_allclose([each.answer["p_pneumonia"] for each in found], answers["p_pneumonia"], atol=1e-6)
    pixels = np.stack([normalize(each, IMAGES).pixels for each in data])
    np.testing.assert_array_equal(np.stack([each.pixels for each in found]), pixels)
    maps = np.stack([each.heat for each in found])
    np.testing.assert_allclose(maps, evidence_maps(keras.saving.load_model(network), pixels), atol=1e-5)
    assert maps.max() == 1


def test_a_model_of_older_code_is_explained_by_that_code(
    workspace: Workspace, older: Path, files: dict[str, bytes], network: Path
) -> None:
    found = explain_files(workspace, str(older), files).values()
    pixels = np.stack([each.pixels for each in found])
    maps = np.stack([each.heat for each in found])
    np.testing.assert_allclose(maps, evidence_maps(keras.saving.load_model(network), pixels) / 2, atol=1e-5)
    assert maps.max() == 0.5


def test_a_registered_model_says_its_version(
    opened: Callable[[], Tracker], workspace: Workspace, network: Path, files: dict[str, bytes]
) -> None:
    registry = config.Registry(experiment="xray-test", model_name="xray-test")
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
    registered = register(opened(), network, settings, Registration(registry, {}, "# the card"))
    found = explain_files(workspace, registered.uri, files).values()
    assert {each.answer["model_version"] for each in found} == {"xray-test/1"}


def test_a_file_that_is_no_scan_is_named(workspace: Workspace, kept: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(ImageError, match=r"^not-an-image: page: [^\n]+$"):
        explain_files(workspace, str(kept), {**files, "page": b"<html>"})


def test_a_model_that_its_own_code_refuses_is_one_line(
    workspace: Workspace, kept: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    other = tmp_path / "model"
    shutil.copytree(kept, other)
    settings = other / "artifacts" / "settings.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "normalizer": "0123"}))
    with pytest.raises(RegistryError, match=r"^[^\n]+this model needs the normalizer 0123[^\n]+$"):
        explain_files(workspace, str(other), files)


def test_no_such_model_is_one_line(workspace: Workspace, files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"^model models:/nobody/1 must be loadable. Received: [^\n]+$"):
        explain_files(workspace, "models:/nobody/1", files)
    with pytest.raises(RegistryError, match=r"^a model must run in a separate process. Received: [^\n]+$"):
        explain_files(workspace, str(tmp_path), files)
