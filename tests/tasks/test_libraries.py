"""Heavy libraries are imported late, and what they write to file descriptor 2 while starting stays unseen."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tasks.libraries import load

DESCRIPTORS = Path("/proc/self/fd")
NOISE = "remark of a C++ library"

Maker = Callable[[str, str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Writes a module that can be imported for the length of a test."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return make


def test_what_an_import_writes_to_descriptor_2_is_kept_back(module: Maker, capfd: pytest.CaptureFixture[str]) -> None:
    name = module("noisy_start", f"import os\nos.write(2, b'{NOISE}')\nVALUE = 3")
    assert load(name).VALUE == 3
    assert capfd.readouterr() == ("", "")


def test_a_failed_import_shows_what_was_kept_back(module: Maker, capfd: pytest.CaptureFixture[str]) -> None:
    name = module("noisy_failure", f"import os\nos.write(2, b'{NOISE}')\nimport a_library_that_is_not_there")
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        load(name)
    assert capfd.readouterr().err == NOISE


def test_standard_error_works_again_afterwards(module: Maker, capfd: pytest.CaptureFixture[str]) -> None:
    load(module("quiet_start", ""))
    with pytest.raises(ZeroDivisionError):
        load(module("quiet_failure", "1 / 0"))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="only Linux lists a process's descriptors")
def test_no_descriptor_is_left_open(module: Maker) -> None:
    names = [module(f"module_{number}", "") for number in range(3)]
    before = len(list(DESCRIPTORS.iterdir()))
    for name in names:
        load(name)
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_a_second_call_gives_the_same_module_and_runs_nothing(module: Maker, tmp_path: Path) -> None:
    log = tmp_path / "ran"
    name = module("counted", f"with open({str(log)!r}, 'a') as file:\n    file.write('once ')")
    first: ModuleType = load(name)
    assert load(name) is first
    assert log.read_text() == "once "
