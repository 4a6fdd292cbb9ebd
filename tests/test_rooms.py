"""The check of the rooms finds what it is for."""

from pathlib import Path

import pytest

from tests.rooms import FLOORS, MOST_FILES, ROOT, faults


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house of three floors, each with a first line and nothing else."""
    for floor in FLOORS:
        (tmp_path / floor).mkdir()
        (tmp_path / floor / "__init__.py").write_text('"""A floor."""\n')
    return tmp_path


def test_this_house_is_in_order() -> None:
    assert faults(ROOT) == []


def test_a_room_of_fourteen_files_is_in_order_and_one_of_fifteen_is_not(house: Path) -> None:
    for number in range(MOST_FILES):
        (house / "xray" / f"file_{number}.py").write_text("")
    assert faults(house) == []
    (house / "xray" / "one_more.py").write_text("")
    assert faults(house) == ["xray must hold at most 14 files. Received: 15"]


def test_a_room_says_what_is_in_it(house: Path) -> None:
    (house / "tasks" / "room").mkdir()
    (house / "tasks" / "room" / "file.py").write_text("")
    assert faults(house) == ["tasks/room must have an __init__.py"]
    (house / "tasks" / "room" / "__init__.py").write_text("")
    assert faults(house) == ["tasks/room/__init__.py must begin with a line that says what is in the room"]


@pytest.mark.parametrize("call", ['importlib.import_module("xray.data")', '__import__(f"xray.{room}")'])
def test_an_import_by_a_string_is_found(house: Path, call: str) -> None:
    (house / "flows" / "late.py").write_text(f"import importlib\n\nroom = {call}\n")
    assert faults(house) == ["flows/late.py:3 must import by a statement, which mypy checks"]


def test_a_test_lies_where_its_file_does(house: Path) -> None:
    (house / "tests" / "xray").mkdir(parents=True)
    (house / "tests" / "xray" / "test_labels.py").write_text("")
    assert faults(house) == ["tests/xray/test_labels.py must lie where its file does. Received: no xray/labels.py"]
    (house / "xray" / "labels.py").write_text("")
    assert faults(house) == []
