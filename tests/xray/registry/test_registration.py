"""The same network with the same settings is one version."""

from collections.abc import Callable
from pathlib import Path

from xray import config
from xray.evaluation.reading import Reading
from xray.registry.model import Settings
from xray.registry.registration import Registration, register
from xray.registry.tracking import Tracker

NAME = "xray-test"
IMAGES = config.Images(height=32, width=32)


def registration(challenger: bool = True) -> Registration:
    registry = config.Registry(experiment="xray-test", model_name=NAME, challenger=challenger)
    return Registration(registry, {"catalog": "0123", "recipe": "quick", "git_commit": None}, "# the card")


def test_registering_twice_makes_one_version(opened: Callable[[], Tracker], network: Path) -> None:
    settings = Settings.of(IMAGES, Reading.at(0.5))
    first = register(opened(), network, settings, registration())
    assert (first.version, first.reused, first.challenger) == ("1", False, True)
    again = register(opened(), network, settings, registration())
    assert (again.version, again.reused, again.challenger) == ("1", True, True)

    client, run_id = opened().require()
    version = client.get_model_version(NAME, "1")
    assert version.description == "# the card"
    assert version.tags["catalog"] == "0123" and version.tags["run_id"] == run_id
    assert version.run_id == run_id and "git_commit" not in version.tags
    outputs = client.get_run(run_id).outputs
    assert outputs is not None and len(outputs.model_outputs) == 1


def test_a_kill_between_logging_and_registering_logs_nothing_again(
    opened: Callable[[], Tracker], network: Path
) -> None:
    settings = Settings.of(IMAGES, Reading.at(0.5))
    register(opened(), network, settings, registration())
    client, run_id = opened().require()
    client.delete_registered_model(NAME)
    register(opened(), network, settings, registration())
    experiment = client.get_run(run_id).info.experiment_id
    assert len(client.search_logged_models([experiment])) == 1


def test_a_newer_challenger_keeps_its_alias(opened: Callable[[], Tracker], network: Path) -> None:
    old, new = Settings.of(IMAGES, Reading.at(0.5)), Settings.of(IMAGES, Reading.at(0.6))
    register(opened(), network, old, registration())
    assert register(opened(), network, new, registration()).challenger
    kept = register(opened(), network, old, registration())
    assert (kept.challenger, kept.withheld) == (False, "version 2 is newer, and is challenger")
