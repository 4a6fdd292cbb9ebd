"""Which version is used, and that it scores."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xray import config
from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings, example_image
from xray.models.register import Registration, register
from xray.scoring.select_model import score_files, select_model
from xray.tracking.store import store_of
from xray.tracking.tracker import Tracker

NAME = "xray-test"
IMAGES = config.Images(height=32, width=32)


def registration(challenger: bool = True) -> Registration:
    registry = config.Registry(experiment="xray-test", model_name=NAME, challenger=challenger)
    return Registration(registry, {"catalog": "0123", "recipe": "quick", "git_commit": None}, "# the card")


def test_champion_then_challenger_then_the_newest(
    opened: Callable[[], Tracker], workspace: Workspace, network: Path
) -> None:
    with pytest.raises(RegistryError, match=f"{NAME} must have a registered version: train one first"):
        select_model(workspace, NAME)
    register(opened(), network, Settings.of(IMAGES, DecisionRule.at(0.5)), registration(challenger=False))
    newest = register(opened(), network, Settings.of(IMAGES, DecisionRule.at(0.6)), registration(challenger=False))
    assert newest.version == "2" and not newest.challenger
    assert (select_model(workspace, NAME).version, select_model(workspace, NAME).how) == ("2", "newest")
    client = store_of(workspace).client()
    client.set_registered_model_alias(NAME, "challenger", "1")
    assert (select_model(workspace, NAME).version, select_model(workspace, NAME).how) == ("1", "challenger")
    client.set_registered_model_alias(NAME, "champion", "2")
    assert (select_model(workspace, NAME).version, select_model(workspace, NAME).how) == ("2", "champion")


def test_a_registered_model_scores_and_names_its_version(
    opened: Callable[[], Tracker], workspace: Workspace, network: Path, tmp_path: Path
) -> None:
    registered = register(opened(), network, Settings.of(IMAGES, DecisionRule.at(0.5)), registration())
    scan = tmp_path / "scan.png"
    scan.write_bytes(example_image())
    (found,) = score_files(workspace, registered.uri, [scan])
    assert found["model_version"] == f"{NAME}/1"
    (by_alias,) = score_files(workspace, f"models:/{NAME}@challenger", [scan])
    assert by_alias["p_pneumonia"] == found["p_pneumonia"]


def test_no_such_model_is_one_line(workspace: Workspace) -> None:
    with pytest.raises(RegistryError, match=r"^model models:/nobody/1 must be loadable. Received: [^\n]+$"):
        score_files(workspace, "models:/nobody/1", [])
