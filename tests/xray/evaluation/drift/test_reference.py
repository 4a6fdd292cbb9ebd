"""What a model's own scans look like is kept with its evaluation, without a name or a digest."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.xray.conftest import Learned
from xray.data.decoding.image_decoder import normalizer_digest
from xray.data.decoding.image_statistics import image_statistics
from xray.errors import StoreError
from xray.evaluation.drift.reference import LOOKS, Reference, write_reference


@pytest.fixture
def path(prepared: Learned, tmp_path: Path) -> Path:
    rows = prepared.catalog.rows()
    evaluated = rows[rows["split"] != "train"]
    scores = pd.DataFrame({"sha256": evaluated["sha256"], "p_pneumonia": np.linspace(0, 1, len(evaluated))})
    path = tmp_path / "reference.parquet"
    write_reference(path, rows, scores, prepared.store, prepared.config.images)
    return path


def test_every_scan_is_measured_and_none_is_named(path: Path, prepared: Learned) -> None:
    rows, found = prepared.catalog.rows(), Reference.read(path)
    assert pq.read_schema(path).names == ["split", *LOOKS, "p_pneumonia"]
    assert found.rows["split"].tolist() == rows["split"].tolist()
    looks = image_statistics(prepared.store.read([rows["sha256"][7]])[0])
    assert found.rows.loc[7, ["brightness", "contrast", "sharpness"]].tolist() == pytest.approx(
        [looks.brightness, looks.contrast, looks.sharpness]
    )
    assert (found.rows["width"] == rows["width"]).all()


def test_the_score_is_missing_where_the_model_learnt_from_the_scan(path: Path) -> None:
    found = Reference.read(path)
    assert found.rows.groupby("split")["p_pneumonia"].apply(lambda p: p.isna().mean()).to_dict() == {
        "test": 0, "train": 1, "validation": 0,
    }  # fmt: skip
    assert len(found.values("p_pneumonia")) == (found.rows["split"] == "validation").sum()
    assert len(found.values("brightness")) == (found.rows["split"] == "train").sum()


def test_it_says_how_its_scans_were_made(path: Path, prepared: Learned) -> None:
    found = Reference.read(path)
    assert found.images == prepared.config.images
    assert found.normalizer == normalizer_digest(prepared.config.images)


def test_another_file_is_named(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(StoreError, match=r"other\.parquet must be unchanged since it was written"):
        Reference.read(tmp_path / "other.parquet")
