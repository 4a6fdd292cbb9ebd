"""The same scans in another layout: the same pixels, byte for byte, and the same folds."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from xray.config import Workspace, load_config
from xray.data.catalog import Catalog
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.sources.coronahack import read_coronahack
from xray.data.store.pixel_store import PixelStore

CONFIG = load_config("quick", ["images.height=32", "images.width=32"])


def prepared(data: Path, home: Path) -> tuple[Catalog, PixelStore]:
    workspace = Workspace(home=home)
    cleaned = clean(data, workspace)
    store = normalize(cleaned, CONFIG, workspace).store
    return write_prepared(cleaned, store, CONFIG, workspace), store


@pytest.fixture(scope="module")
def coronahack(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, PixelStore]:
    return prepared(phantoms, tmp_path_factory.mktemp("coronahack"))


def test_class_folders_give_the_same_pixels(
    phantoms: Path, coronahack: tuple[Catalog, PixelStore], tmp_path: Path
) -> None:
    for row in read_coronahack(phantoms).rows.itertuples():
        place = tmp_path / "data" / "Chest" / row.official / row.label.upper() / row.image_id
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(phantoms / row.path, place)
    catalog, store = prepared(tmp_path / "data", tmp_path / "home")
    shards = {path.name: path.read_bytes() for path in store.folder.glob("shard-*.parquet")}
    assert shards == {path.name: path.read_bytes() for path in coronahack[1].folder.glob("shard-*.parquet")}
    assert set(catalog.rows()["sha256"]) == set(coronahack[0].rows()["sha256"])


def test_a_table_with_causes_patients_and_splits_gives_the_same_folds(
    phantoms: Path, coronahack: tuple[Catalog, PixelStore], tmp_path: Path
) -> None:
    rows = read_coronahack(phantoms).rows
    shutil.copytree(phantoms, tmp_path / "data", ignore=shutil.ignore_patterns("*.csv"))
    names = {"path": "file_name", "subtype": "cause", "patient_id": "patient", "official": "split"}
    table = rows.rename(columns=names)[["file_name", "label", "cause", "patient", "split"]]
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "data" / "metadata.csv", index=False)
    catalog, _ = prepared(tmp_path / "data", tmp_path / "home")
    same = ["image_id", "path", "sha256", "label", "subtype", "patient_id", "split", "fold"]
    pd.testing.assert_frame_equal(catalog.rows()[same], coronahack[0].rows()[same])
