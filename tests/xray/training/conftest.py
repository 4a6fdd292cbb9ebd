"""Sixty-four phantoms of 32 x 32, cleaned, normalized and split once, and a disk that fills up."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from xray.config import Config, Places, load_config
from xray.data.catalog import Catalog
from xray.data.phantom import write_phantoms
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.store import PixelStore

SETTINGS = ("images.height=32", "images.width=32", "training.precision=float32", "training.batch_size=16")


@dataclass(frozen=True)
class Prepared:
    """What a training is given."""

    catalog: Catalog
    store: PixelStore

    @staticmethod
    def config(*settings: str) -> Config:
        """The quick recipe at 32 x 32 in batches of 16, changed by settings."""
        return load_config("quick", [*SETTINGS, *settings])


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A catalog of 64 phantoms and their pixels. Read only."""
    home = tmp_path_factory.mktemp("prepared")
    write_phantoms(home / "scans", scans=64, seed=0, size=(32, 32))
    places, config = Places(home=home), Prepared.config()
    cleaned = clean(home / "scans", places)
    store = normalize(cleaned, config, places).store
    return Prepared(write_prepared(cleaned, store, config, places), store)


@pytest.fixture
def disk_with_room_for() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow beyond so many bytes, as on a full disk; it holds for root, too."""

    @contextmanager
    def limited(most_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A training folder that is there and empty."""
    folder = tmp_path / "training"
    folder.mkdir()
    return folder
