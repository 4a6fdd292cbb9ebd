"""The same network with the same settings is one version."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from xray import config
from xray.config import Workspace
from xray.errors import RegistryError, Unavailable
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings
from xray.models.register import Registration, register
from xray.scoring.local_pool import fetched
from xray.tracking.owning_process import Owner
from xray.tracking.tracker import Tracker

NAME = "xray-test"
IMAGES = config.Images(height=32, width=32)


def registration(challenger: bool = True) -> Registration:
    registry = config.Registry(experiment="xray-test", model_name=NAME, challenger=challenger)
    return Registration(registry, {"catalog": "0123", "recipe": "quick", "git_commit": None}, "# the card")


def test_registering_twice_makes_one_version(opened: Callable[[], Tracker], network: Path) -> None:
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
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
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
    register(opened(), network, settings, registration())
    client, run_id = opened().require()
    client.delete_registered_model(NAME)
    register(opened(), network, settings, registration())
    experiment = client.get_run(run_id).info.experiment_id
    assert len(client.search_logged_models([experiment])) == 1


def test_a_newer_challenger_keeps_its_alias(opened: Callable[[], Tracker], network: Path) -> None:
    old, new = Settings.of(IMAGES, DecisionRule.at(0.5)), Settings.of(IMAGES, DecisionRule.at(0.6))
    register(opened(), network, old, registration())
    assert register(opened(), network, new, registration()).challenger
    kept = register(opened(), network, old, registration())
    assert (kept.challenger, kept.withheld) == (False, "version 2 is newer, and is challenger")


def test_a_version_whose_files_are_gone_is_registered_anew_and_the_old_one_says_so(
    workspace: Workspace, opened: Callable[[], Tracker], network: Path
) -> None:
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
    assert register(opened(), network, settings, registration()).version == "1"
    shutil.rmtree(workspace.mlruns / "artifacts")
    words = f"models:/{NAME}/1 must have its registered files.*repeat the xray run.*Received: no or not all files in"
    with pytest.raises(RegistryError, match=words) as lost, fetched(workspace, f"models:/{NAME}/1"):
        pass
    assert not isinstance(lost.value, Unavailable), "no second try brings files back"
    again = register(opened(), network, settings, registration())
    assert (again.version, again.reused, again.challenger) == ("2", False, True)
    with fetched(workspace, f"models:/{NAME}/2") as model:
        assert (model / "MLmodel").is_file()
    words = f"xray promote 2 --force --reason 'the same network' --model-name {NAME} --home {workspace.home}"
    with pytest.raises(RegistryError, match=words), fetched(workspace, f"models:/{NAME}/1"):
        pass
    assert register(opened(), network, settings, registration()).version == "2"


@pytest.mark.parametrize("damaged", ["model.keras", "settings.json"])
def test_a_version_whose_files_differ_is_refused_and_registered_anew(
    workspace: Workspace, opened: Callable[[], Tracker], network: Path, damaged: str
) -> None:
    settings = Settings.of(IMAGES, DecisionRule.at(0.5))
    register(opened(), network, settings, registration())
    (kept,) = (workspace.mlruns / "artifacts").rglob(f"artifacts/{damaged}")
    data = kept.read_bytes()
    # Valid, and another model: the threshold's digit, or a byte after the archive's end.
    kept.write_bytes(
        data.replace(b'"threshold": 0.5', b'"threshold": 0.9') if damaged == "settings.json" else data + b"0"
    )
    assert kept.read_bytes() != data
    words = f"models:/{NAME}/1 must have its registered files.*repeat the xray run.*Received: they differ in"
    with pytest.raises(RegistryError, match=words) as found, fetched(workspace, f"models:/{NAME}/1"):
        pass
    assert not isinstance(found.value, Unavailable)
    again = register(opened(), network, settings, registration())
    assert (again.version, again.reused) == ("2", False)
    with fetched(workspace, f"models:/{NAME}@challenger") as model:
        assert (model / "artifacts" / damaged).read_bytes() == data
    assert register(opened(), network, settings, registration()).version == "2"


def test_a_version_that_does_not_name_its_content_must_have_its_files(
    workspace: Workspace, opened: Callable[[], Tracker], network: Path
) -> None:
    register(opened(), network, Settings.of(IMAGES, DecisionRule.at(0.5)), registration())
    client, _ = opened().require()
    client.delete_model_version_tag(NAME, "1", "model_digest")
    with fetched(workspace, f"models:/{NAME}/1") as model:
        assert (model / "MLmodel").is_file()
    shutil.rmtree(workspace.mlruns / "artifacts")
    words = f"models:/{NAME}/1 must have its registered files.*Received: no or not all files in"
    with pytest.raises(RegistryError, match=words), fetched(workspace, f"models:/{NAME}/1"):
        pass


def test_a_model_that_a_kill_left_half_written_is_failed_by_the_next_registration(
    opened: Callable[[], Tracker], network: Path
) -> None:
    client, run_id = opened().require()
    experiment = client.get_run(run_id).info.experiment_id
    child = subprocess.Popen(["sleep", "60"])
    dead = Owner(socket.gethostname(), child.pid, psutil.Process(child.pid).create_time())
    child.kill()
    child.wait()
    owners = {"dead": dead, "alive": Owner.this(), "elsewhere": Owner("another-machine", 1, 0.0)}
    half = {
        name: client.create_logged_model(experiment, name="model", source_run_id=run_id, tags=owner.tags()).model_id
        for name, owner in owners.items()
    }
    register(opened(), network, Settings.of(IMAGES, DecisionRule.at(0.5)), registration())
    status = {name: str(client.get_logged_model(model_id).status) for name, model_id in half.items()}
    assert status == {"dead": "FAILED", "alive": "PENDING", "elsewhere": "PENDING"}
