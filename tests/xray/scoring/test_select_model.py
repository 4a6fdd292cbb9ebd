"""Which version is used, and that it scores."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xray import config
from xray.config import Places
from xray.errors import RegistryError
from xray.evaluation.decision.rule import Reading
from xray.models.package import Settings, example_image
from xray.models.register import Registration, register
from xray.scoring.select_model import resolve, score_files
from xray.tracking.store import store_of
from xray.tracking.tracker import Tracker

NAME = "xray-test"
IMAGES = config.Images(height=32, width=32)


def registration(challenger: bool = True) -> Registration:
    registry = config.Registry(experiment="xray-test", model_name=NAME, challenger=challenger)
    return Registration(registry, {"catalog": "0123", "recipe": "quick", "git_commit": None}, "# the card")


def test_champion_then_challenger_then_the_newest(opened: Callable[[], Tracker], places: Places, network: Path) -> None:
    with pytest.raises(RegistryError, match=f"{NAME} must have a registered version: train one first"):
        resolve(places, NAME)
    register(opened(), network, Settings.of(IMAGES, Reading.at(0.5)), registration(challenger=False))
    newest = register(opened(), network, Settings.of(IMAGES, Reading.at(0.6)), registration(challenger=False))
    assert newest.version == "2" and not newest.challenger
    assert (resolve(places, NAME).version, resolve(places, NAME).how) == ("2", "newest")
    client = store_of(places).client()
    client.set_registered_model_alias(NAME, "challenger", "1")
    assert (resolve(places, NAME).version, resolve(places, NAME).how) == ("1", "challenger")
    client.set_registered_model_alias(NAME, "champion", "2")
    assert (resolve(places, NAME).version, resolve(places, NAME).how) == ("2", "champion")


def test_a_registered_model_scores_and_names_its_version(
    opened: Callable[[], Tracker], places: Places, network: Path, tmp_path: Path
) -> None:
    registered = register(opened(), network, Settings.of(IMAGES, Reading.at(0.5)), registration())
    scan = tmp_path / "scan.png"
    scan.write_bytes(example_image())
    (found,) = score_files(places, registered.uri, [scan])
    assert found["model_version"] == f"{NAME}/1"
    (by_alias,) = score_files(places, f"models:/{NAME}@challenger", [scan])
    assert by_alias["p_pneumonia"] == found["p_pneumonia"]


def test_no_such_model_is_one_line(places: Places) -> None:
    with pytest.raises(RegistryError, match=r"^model models:/nobody/1 must be loadable. Received: [^\n]+$"):
        score_files(places, "models:/nobody/1", [])
