"""One small training on phantoms, for every test that needs a finished one."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from xray.config import Config, Places, load_config
from xray.data.catalog import Catalog
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.store import PixelStore

TINY = [
    "images.height=32",
    "images.width=32",
    "training.epochs=2",
    "training.batch_size=32",
    "evaluation.bootstrap_draws=200",
    "registry.experiment=xray-test",
    "registry.model_name=xray-classifier-test",
]
"""Settings that make a recipe small enough for a test."""


@dataclass(frozen=True)
class Learned:
    """What a training needs: prepared phantoms, and the configuration they were prepared with."""

    places: Places
    config: Config
    catalog: Catalog
    store: PixelStore


@pytest.fixture(scope="session")
def prepared(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """The phantoms, cleaned, normalized to 32 x 32 and split. Read only."""
    config = load_config("quick", TINY)
    places = Places(home=tmp_path_factory.mktemp("prepared"))
    cleaned = clean(phantoms, places)
    store = normalize(cleaned, config, places).store
    return Learned(places, config, write_prepared(cleaned, store, config, places), store)
