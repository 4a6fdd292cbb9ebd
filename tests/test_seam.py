"""Calls from tasks into xray are checked by mypy, although they are imported late and run by Prefect."""

from pathlib import Path

import pytest
from mypy import api

PROJECT = Path(__file__).parents[1]

TASK = """
from tasks.prefect_task import Outcome, step
from xray.config import Request
from xray.data.prepare import Cleaned

@step(name="clean")
def clean(request: Request) -> Outcome[Cleaned]:
    from xray.data import prepare

    cleaned = {call}
    return Outcome(cleaned, "cleaned")

def flow(request: Request) -> int:
    cleaned = clean({given})
    return cleaned.{field}
"""
RIGHT = {"call": "prepare.clean(request.data, request.workspace)", "given": "request", "field": "scans"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # without a cache mypy reads Prefect, which takes minutes


def checked(folder: Path, **changed: str) -> tuple[str, int]:
    """What mypy says of a task and a flow that are written in one way or another."""
    file = folder / "written.py"
    file.write_text(TASK.format(**RIGHT | changed))
    said, _, code = api.run(["--config-file", str(PROJECT / "pyproject.toml"), str(file)])
    return said, code


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mypy takes the project's settings and its cache, which `make lint` fills."""
    monkeypatch.chdir(PROJECT)


def test_what_fits_passes(tmp_path: Path) -> None:
    said, code = checked(tmp_path)
    assert code == 0, said


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"call": "prepare.claen(request.data, request.workspace)"}, 'has no attribute "claen"'),
        ({"call": "prepare.clean(request.workspace, request.data)"}, 'Argument 1 to "clean" has incompatible type'),
        ({"call": "prepare.clean(request.data)"}, 'Missing positional argument "workspace"'),
        ({"given": '"a folder"'}, 'has incompatible type "str"; expected "Request"'),
        ({"field": "value"}, '"Cleaned" has no attribute "value"'),
    ],
    ids=["misspelt", "scrambled", "missing", "wrong argument to a task", "wrong use of its value"],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    said, code = checked(tmp_path, **changed)
    assert code == 1
    assert words in said
