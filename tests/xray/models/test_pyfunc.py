"""The model as it is kept: files in, decisions out, the same as the shards give."""

import base64
import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server

from xray import config
from xray.data.decoding.image_decoder import normalize
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings, example_image, pinned_requirements, save
from xray.models.pyfunc import COLUMNS
from xray.training.predict import predict

IMAGES = config.Images(height=32, width=32, fit="stretch")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, network: Path) -> Path:
    """The pyfunc on disk, at threshold 0.55."""
    folder = tmp_path_factory.mktemp("kept") / "model"
    save(folder, network, Settings.of(IMAGES, DecisionRule.at(0.55)))
    return folder


@pytest.fixture(scope="module")
def loaded(kept: Path) -> Any:
    """The pyfunc, loaded with pickle forbidden."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        return mlflow.pyfunc.load_model(str(kept))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The bytes of 40 phantoms: more than one batch."""
    folder = tmp_path_factory.mktemp("files")
    write_phantoms(folder, scans=40, seed=1, size=(50, 40))
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpeg", ".jpg"))
    return [path.read_bytes() for path in paths][:40]


def test_a_score_from_the_file_is_the_score_from_the_shard(loaded: Any, files: list[bytes], network: Path) -> None:
    import keras

    model = keras.saving.load_model(network)
    pixels = np.stack([normalize(data, IMAGES).pixels for data in files])
    found = loaded.predict(pd.DataFrame({"image": files}))
    assert list(found.columns) == ["p_pneumonia", "p_pneumonia_raw", *COLUMNS]
    expected = 1 - model(pixels[..., np.newaxis]).numpy()[:, 0]
    np.testing.assert_allclose(predict(model, pixels, batch_size=7)[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found["p_pneumonia"], expected, atol=1e-5)
    np.testing.assert_array_equal(found["p_pneumonia"], found["p_pneumonia_raw"])
    assert list(found["likeliest_class"]) == ["pneumonia" if p >= 0.5 else "normal" for p in found["p_pneumonia"]]
    assert list(found["decision"]) == ["pneumonia" if p >= 0.55 else "normal" for p in found["p_pneumonia"]]
    assert set(found["threshold"]) == {0.55}
    assert found["error"].isna().all()
    assert len(set(found["p_pneumonia"])) > 1


def test_a_file_that_is_no_scan_fails_alone_and_says_why(loaded: Any) -> None:
    found = loaded.predict(pd.DataFrame({"image": [b"<html>", example_image(), b""]}, index=[7, 8, 9]))
    assert list(found.index) == [7, 8, 9]
    assert found["p_pneumonia"].isna().tolist() == [True, False, True]
    assert found["decision"].isna().tolist() == [True, False, True]
    assert found.loc[7, "error"].startswith("not-an-image")
    assert pd.isna(found.loc[8, "error"])


def test_no_file_at_all_gives_no_row(loaded: Any) -> None:
    found = loaded.predict(pd.DataFrame({"image": pd.Series([], dtype=object)}))
    assert list(found.columns) == ["p_pneumonia", "p_pneumonia_raw", *COLUMNS] and len(found) == 0


def test_its_input_example_is_what_a_server_takes_as_base64(loaded: Any, kept: Path) -> None:
    body = (kept / "serving_input_example.json").read_text()
    answer = TestClient(scoring_server.init(loaded)).post(
        "/invocations", content=body, headers={"Content-Type": "application/json"}
    )
    (row,) = answer.json()["predictions"]
    assert answer.status_code == 200 and row["error"] is None
    direct = loaded.predict(pd.DataFrame({"image": [example_image()]}))
    assert row["p_pneumonia"] == pytest.approx(direct["p_pneumonia"][0], abs=1e-9)


def test_a_server_answers_for_a_file_that_is_no_scan_with_nulls(loaded: Any) -> None:
    files = [base64.b64encode(data).decode() for data in (b"no scan", example_image())]
    answer = TestClient(scoring_server.init(loaded)).post(
        "/invocations", json={"dataframe_split": {"columns": ["image"], "data": [[file] for file in files]}}
    )
    bad, good = answer.json()["predictions"]
    assert bad["p_pneumonia"] is None and bad["likeliest_class"] is None and bad["decision"] is None
    assert bad["error"].startswith("not-an-image")
    assert good["error"] is None and 0 <= good["p_pneumonia"] <= 1


def test_it_holds_the_package_and_neither_tests_nor_caches_nor_pickles(kept: Path) -> None:
    code = kept / "code"
    assert [path.name for path in code.iterdir()] == ["xray"]
    assert not list(kept.rglob("tests")) and not list(kept.rglob("*.pkl"))
    assert not list(kept.rglob("*.tmp-*"))
    assert (kept / "requirements.txt").read_text().split() == pinned_requirements()


def test_another_normalizer_than_the_trainings_is_refused(tmp_path: Path, kept: Path) -> None:
    import shutil

    shutil.copytree(kept, tmp_path / "model")
    settings = tmp_path / "model" / "artifacts" / "settings.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "normalizer": "0000"}))
    with pytest.raises(ValueError, match="this model needs the normalizer 0000. Received: "):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))


def test_a_network_with_code_in_its_file_is_refused(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((32, 32, 1), dtype="uint8"), keras.layers.Lambda(lambda x: x / 255)])
    model.save(tmp_path / "model.keras")
    save(tmp_path / "kept", tmp_path / "model.keras", Settings.of(IMAGES, DecisionRule.at(0.5)))
    with pytest.raises(ValueError, match="unsafe|safe_mode"):
        mlflow.pyfunc.load_model(str(tmp_path / "kept"))
