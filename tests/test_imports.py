"""Importing a flow, a task or the command loads nothing heavy: it costs little more than Prefect."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import flows
import tasks

HEAVY = {"tensorflow", "keras", "mlflow", "optuna", "matplotlib", "sklearn", "prefect_dask", "distributed", "pyarrow"}
GROUND_FLOOR = ["xray", "xray.config", "xray.labels", "xray.files.checked_io", "xray.errors"]

LOOK = """
import importlib, json, sys
loaded = {}
for name in sys.argv[1:]:
    importlib.import_module(name)
    loaded[name] = sorted({module.partition(".")[0] for module in sys.modules})
print(json.dumps(loaded))
"""


def upper_floors() -> list[str]:
    """Every module of `flows` and `tasks`, by its dotted name."""
    return [
        info.name for floor in (flows, tasks) for info in pkgutil.walk_packages(floor.__path__, f"{floor.__name__}.")
    ]


def loaded_after(modules: list[str], folder: Path) -> dict[str, set[str]]:
    """Import the modules one after another in a fresh interpreter; give the packages it holds after each."""
    command = [sys.executable, "-c", LOOK, *modules]
    child = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert child.returncode == 0, child.stderr
    return {name: set(packages) for name, packages in json.loads(child.stdout).items()}


@pytest.mark.slow
def test_importing_flows_and_tasks_loads_nothing_heavy_and_makes_no_file(tmp_path: Path) -> None:
    loaded = loaded_after(upper_floors(), tmp_path)
    assert {name: packages & HEAVY for name, packages in loaded.items() if packages & HEAVY} == {}
    assert list(tmp_path.iterdir()) == []


def test_the_ground_floor_loads_neither_prefect_nor_anything_heavy(tmp_path: Path) -> None:
    loaded = loaded_after(GROUND_FLOOR, tmp_path)
    assert loaded["xray.errors"] & (HEAVY | {"prefect"}) == set()


@pytest.mark.slow
def test_finding_a_finished_training_its_evaluation_and_run_again_loads_no_tensorflow(tmp_path: Path) -> None:
    rooms = [
        "xray.training.fit",
        "xray.training.ensemble",
        "xray.evaluation.evaluate",
        "xray.evaluation.inspection.inspect",
    ]
    recording = ["xray.runs.training_run", "xray.runs.seed_ensemble", "xray.runs.cross_validation_run"]
    loaded = loaded_after([*rooms, *recording], tmp_path)
    assert loaded[recording[-1]] & {"tensorflow", "keras"} == set()
