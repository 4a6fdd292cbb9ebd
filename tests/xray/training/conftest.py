"""An empty training folder."""

from pathlib import Path

import pytest


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A training folder that is there and empty."""
    folder = tmp_path / "training"
    folder.mkdir()
    return folder
