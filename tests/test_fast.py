"""What `make test-fast` runs is decided by what a test needs, and nobody keeps a list."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fast import HEAVY

PROJECT = Path(__file__).parents[1]

CONFTEST = """
import pytest

pytest_plugins = ["tests.fast"]

@pytest.fixture
def prefect_server():
    raise AssertionError("a server was started")
"""

LIGHT = """
import importlib.util, os
import pytest

def test_runs():
    assert os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"

def test_looks_whether_it_is_there():
    assert importlib.util.find_spec("keras")

def test_asks_for_a_server(prefect_server): ...

@pytest.mark.slow
def test_is_marked(): ...
"""

HIDES_IT = """
def test_{heavy}_in_its_body():
    try:
        import {heavy}
    except Exception:
        pass
"""

IMPORTS_IT = """
import {heavy}.anything

def test_fails():
    raise AssertionError
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run of the fast ones says, of tests of all kinds."""
    folder = tmp_path_factory.mktemp("tests")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: is slow\n    system: is one\n")
    (folder / "test_light.py").write_text(LIGHT)
    (folder / "test_hiding.py").write_text("".join(HIDES_IT.format(heavy=heavy) for heavy in HEAVY))
    for heavy in HEAVY:
        (folder / f"test_of_{heavy}.py").write_text(IMPORTS_IT.format(heavy=heavy))
    command = [sys.executable, "-m", "pytest", "--fast", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    child = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return child.stdout + child.stderr


def test_a_test_that_asks_for_a_server_or_is_marked_and_a_file_that_imports_a_heavy_library_are_left_out(
    said: str,
) -> None:
    assert said.splitlines()[-1].partition(" in ")[0] == "3 failed, 2 passed, 2 deselected"


@pytest.mark.parametrize("heavy", sorted(HEAVY))
def test_one_that_loads_a_heavy_library_after_all_fails_and_says_what_to_do(heavy: str, said: str) -> None:
    assert f"a fast test must not load {heavy}: mark it `slow`" in said
    assert f"FAILED test_hiding.py::test_{heavy}_in_its_body" in said
