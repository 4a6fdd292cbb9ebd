"""Keras as our networks need it, whatever the user's own settings say, and no noise from libraries that start."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from xray.keras_import import own_keras, quiet_import

PROJECT = Path(__file__).parents[2]

LOOK = """
import json, os
from xray.keras_import import quiet_import
with quiet_import():
    import keras
found = [keras.config.backend(), keras.config.floatx(), keras.config.image_data_format(), keras.config.max_epochs()]
print(json.dumps([*found, os.environ["KERAS_HOME"]]))
"""

REFUSED = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "jax"))
from xray.keras_import import quiet_import
with quiet_import():
    raise AssertionError("nothing is imported")
"""


def child(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a new interpreter, beside the settings of nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    environment = kept | {"PYTHONPATH": str(PROJECT)} | variables
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.slow
def test_the_users_settings_of_keras_are_not_ours(tmp_path: Path) -> None:
    settings = {"backend": "jax", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    ended = child(LOOK, KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch", KERAS_MAX_EPOCHS="1")
    assert ended.returncode == 0, ended.stderr
    # Fetched weights lie in the user's folder still.
    assert json.loads(ended.stdout) == ["tensorflow", "float32", "channels_last", None, str(tmp_path)]
    assert json.loads((tmp_path / "keras.json").read_text()) == settings


PAUSED = """
import gc
from xray.keras_import import quiet_import
with quiet_import():
    print(gc.isenabled())
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_the_collector_rests_while_libraries_are_imported_and_leaves_them_alone_afterwards() -> None:
    ended = child(PAUSED)
    assert ended.stdout.split() == ["False", "True", "True"], ended.stderr


def test_keras_on_another_backend_is_refused_in_one_line() -> None:
    ended = child(REFUSED)
    assert ended.stderr.splitlines()[-1].endswith(
        "Keras must run on TensorFlow in this process: set KERAS_BACKEND=tensorflow. Received: jax"
    )


def test_the_variables_are_as_they_were_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "3")
    with pytest.raises(ValueError, match="failed"), own_keras():
        assert os.environ["KERAS_HOME"] != "/somewhere"
        raise ValueError("failed")
    found = {name: os.environ[name] for name in ("KERAS_BACKEND", "KERAS_HOME", "KERAS_MAX_EPOCHS")}
    assert found == {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": "/somewhere", "KERAS_MAX_EPOCHS": "3"}


class TestQuietImport:
    DESCRIPTORS = Path("/proc/self/fd")
    NOISE = "remark of a C++ library"

    Maker = Callable[[str, str], str]

    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
        """Writes a module that can be imported for the length of a test."""
        monkeypatch.syspath_prepend(str(tmp_path))

        def make(name: str, source: str) -> str:
            (tmp_path / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, name, raising=False)
            return name

        return make

    @staticmethod
    def imported(name: str) -> ModuleType:
        with quiet_import():
            return importlib.import_module(name)

    def test_what_an_import_writes_to_descriptor_2_is_kept_back(
        self, module: Maker, capfd: pytest.CaptureFixture[str]
    ) -> None:
        name = module("noisy_start", f"import os\nos.write(2, b'{self.NOISE}')\nVALUE = 3")
        assert self.imported(name).VALUE == 3
        assert capfd.readouterr() == ("", "")

    def test_a_failed_import_shows_what_was_kept_back(self, module: Maker, capfd: pytest.CaptureFixture[str]) -> None:
        source = f"import os\nos.write(2, b'{self.NOISE}')\nimport a_library_that_is_not_there"
        name = module("noisy_failure", source)
        with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
            self.imported(name)
        assert capfd.readouterr().err == self.NOISE

    def test_standard_error_works_again_afterwards(self, module: Maker, capfd: pytest.CaptureFixture[str]) -> None:
        self.imported(module("quiet_start", ""))
        with pytest.raises(ZeroDivisionError):
            self.imported(module("quiet_failure", "1 / 0"))
        os.write(2, b"still here")
        assert capfd.readouterr().err == "still here"

    @pytest.mark.skipif(not DESCRIPTORS.exists(), reason="only Linux lists a process's descriptors")
    def test_no_descriptor_is_left_open(self, module: Maker) -> None:
        names = [module(f"module_{number}", "") for number in range(3)]
        before = len(list(self.DESCRIPTORS.iterdir()))
        for name in names:
            self.imported(name)
        assert len(list(self.DESCRIPTORS.iterdir())) == before
