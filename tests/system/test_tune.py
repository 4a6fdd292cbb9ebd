"""`xray tune` killed in the middle of a trial and given again, and on a real Dask cluster of two processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Command
from tests.system.typed import Documented
from tests.system.waiting import until

SECONDS = 400
SETTINGS = [
    "images.height=32",
    "images.width=32",
    "training.epochs=25",
    "training.patience=0",
    "training.precision=float32",
    "registry.experiment=studies",
]
SPACE = '"training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n'
COMMAND = ["tune", "phantoms", "--recipe", "quick", "--space", "space.toml", "--trials", "3", "--startup-trials", "9"]
COMMAND += [part for setting in SETTINGS for part in ("--set", setting)]

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


def ended(xray: Command, *arguments: str) -> str:
    """Give the command, which ends well, and give what it printed."""
    ended = xray(*arguments)
    assert ended.code == 0, ended
    return ended.out + ended.err


def runs_of(home: Path) -> tuple[Any, list[Any]]:
    """The study's run and its children."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("studies")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags.get("kind") == "study"]
    return parent, [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def drawn(home: Path) -> dict[int, tuple[float, float]]:
    """The learning rate and the objective of each trial that came to its end, by its slot."""
    import optuna

    (database,) = home.glob("data/studies/*/study.db")
    (study,) = optuna.get_all_study_names(f"sqlite:///{database}")
    trials = optuna.load_study(study_name=study, storage=f"sqlite:///{database}").get_trials()
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    return {trial.user_attrs["slot"]: (trial.params["training.learning_rate"], trial.values[0]) for trial in complete}


@pytest.fixture(scope="module")
def xray(alone: Command, prefect_url: str) -> Command:
    """The command, told of a Prefect server; the one on a cluster starts its own."""
    return alone.at(prefect_url)


@pytest.fixture(scope="module")
def folder(xray: Command) -> Path:
    """The command's folder, with phantoms and a space in it."""
    from xray.data.phantoms.write_phantoms import write_phantoms

    write_phantoms(xray.folder / "phantoms", scans=120, seed=0, size=(64, 64))
    (xray.folder / "space.toml").write_text(SPACE)
    return xray.folder


@pytest.fixture(scope="module")
def killed(folder: Path, xray: Command) -> Path:
    """The home of a study whose second trial was killed with -9 after its first epoch."""
    home = folder / "home"
    finished = home / "data" / "trainings"

    def amid() -> bool:
        first = list(finished.glob("*/manifest.json"))
        return bool(first) and any(path.parent != first[0].parent for path in finished.glob("*/epoch-000[1-4]"))

    with xray.start("killed", *COMMAND, "--home", "home") as run:
        until(lambda: run.alive() and amid(), "a second trial is under way", SECONDS, every=0.02)
        run.child.kill()
        run.child.wait(SECONDS)
    return home


@pytest.fixture(scope="module")
def again(xray: Command, killed: Path) -> str:
    return ended(xray, *COMMAND, "--home", "home")


def test_given_again_it_goes_on_in_the_trial_that_was_killed(killed: Path, again: str) -> None:
    assert "trial 0: " not in again
    assert "training continues after epoch " in again
    assert "3 complete, 0 pruned, 0 diverged" in again
    parent, children = runs_of(killed)
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert len(children) == 3
    assert parent.info.run_id in again


def test_given_once_more_it_trains_nothing_and_says_so(xray: Command, again: str) -> None:
    printed = ended(xray, *COMMAND, "--home", "home")
    assert "all existed already: nothing was trained" in printed
    assert "epoch 1/" not in printed


def test_killed_it_ends_with_the_trials_of_an_unkilled_one(folder: Path, xray: Command, again: str) -> None:
    ended(xray, *COMMAND, "--home", "unkilled")
    here, there = drawn(folder / "home"), drawn(folder / "unkilled")
    assert {slot: rate for slot, (rate, _) in here.items()} == {slot: rate for slot, (rate, _) in there.items()}
    for slot, (_, value) in here.items():
        assert value == pytest.approx(there[slot][1], rel=1e-3)


def test_on_a_cluster_every_trial_is_run_once_and_no_run_knows_test(
    folder: Path, alone: Command, documented: Documented, begin: Callable[[Path], None]
) -> None:
    begin(folder / "other")
    (shown,) = documented
    swap = {"coronahack": "phantoms", "--trials 30": "--trials 3"}
    printed = ended(alone, *documented.words(shown, swap), *COMMAND[2:], "--home", "other")
    assert "3 complete, 0 pruned, 0 diverged" in printed
    parent, children = runs_of(folder / "other")
    assert sorted(run.data.tags["trial"] for run in children) == ["0", "1", "2"]
    assert len({run.data.params["training.learning_rate"] for run in children}) == 3
    assert [name for run in (parent, *children) for name in run.data.metrics if "test" in name] == []
