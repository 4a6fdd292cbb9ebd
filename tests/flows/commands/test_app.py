"""Printed commands do what they say where they are printed."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from flows.commands.app import command, pages, placed, show_next_steps
from xray.config import Workspace


def test_a_printed_command_is_one_that_the_shell_takes_apart_as_it_was_meant(tmp_path: Path) -> None:
    home = tmp_path / "my home; it's $HOME"
    printed = command("promote", 3, "--model-name", "a model", home=home)
    listed = subprocess.run(
        ["sh", "-c", f'for word in {printed}; do echo "$word"; done'], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert listed[0].endswith("xray")
    assert listed[1:] == ["promote", "3", "--model-name", "a model", "--home", str(home)]


def test_the_usual_home_is_not_named() -> None:
    assert command("ui").endswith("xray ui")
    assert placed(Path()) == ""
    assert shlex.split(placed(Path("my home"))) == ["--home", "my home"]


def test_a_program_is_named_so_that_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    (program, *_) = shlex.split(command("ui"))
    assert "/" in program, "it is not on the path, so the folder is named"


@pytest.mark.slow
def test_without_servers_the_commands_that_open_the_pages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    found = pages(Workspace(home=tmp_path), "a run", tmp_path / "my home")
    assert found["MLflow"].endswith(f"ui --home '{tmp_path}/my home'")
    assert found["Prefect"].endswith(f"up --home '{tmp_path}/my home'")
    assert list(tmp_path.iterdir()) == []


def test_what_a_command_leaves_is_a_line_each_and_nothing_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_next_steps({"model": "models:/m/1", "": "", "promote": "xray promote 1"})
    assert capsys.readouterr().out == "model    models:/m/1\npromote  xray promote 1\n"
