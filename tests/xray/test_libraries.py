"""Keras as our networks need it, whatever the user's own settings say: each case in a child of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xray.libraries import own_keras

PROJECT = Path(__file__).parents[2]

LOOK = """
import json, os
from xray.libraries import quiet_import
with quiet_import():
    import keras
found = [keras.config.backend(), keras.config.floatx(), keras.config.image_data_format(), keras.config.max_epochs()]
print(json.dumps([*found, os.environ["KERAS_HOME"]]))
"""

REFUSED = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "jax"))
from xray.libraries import quiet_import
with quiet_import():
    raise AssertionError("nothing is imported")
"""


def child(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a new interpreter, beside the settings of nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    environment = kept | {"PYTHONPATH": str(PROJECT)} | variables
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)


def test_the_users_settings_of_keras_are_not_ours(tmp_path: Path) -> None:
    settings = {"backend": "jax", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    ended = child(LOOK, KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch", KERAS_MAX_EPOCHS="1")
    assert ended.returncode == 0, ended.stderr
    # Fetched weights lie in the user's folder still.
    assert json.loads(ended.stdout) == ["tensorflow", "float32", "channels_last", None, str(tmp_path)]
    assert json.loads((tmp_path / "keras.json").read_text()) == settings


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
