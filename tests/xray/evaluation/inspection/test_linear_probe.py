"""The source probe: it finds a source that features hold, and neither noise, nor the label, nor the patient."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from xray.config import Evaluation, Images, Model
from xray.errors import EvaluationError
from xray.evaluation.inspection.linear_probe import COLUMNS, Probe, features, probe
from xray.training.networks.architectures import build

FEW = Evaluation(bootstrap_draws=200)
SCANS = 240


@pytest.fixture(scope="module")
def scans() -> pd.DataFrame:
    """Two scans a patient: 80 IM and 40 NORMAL2 of normal, 90 person and 30 foreign of pneumonia."""
    sources = ["IM"] * 80 + ["NORMAL2"] * 40 + ["person"] * 90 + ["foreign"] * 30
    table = pd.DataFrame(
        {
            "patient_id": [f"person{place // 2}" for place in range(SCANS)],
            "label": ["normal"] * 120 + ["pneumonia"] * 120,
            "source": sources,
        }
    )
    return table.sample(frac=1, random_state=0)  # neither sorted nor numbered in order


def noise(columns: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(SCANS, columns)).astype(np.float32)


def test_it_finds_a_source_that_the_features_hold(scans: pd.DataFrame) -> None:
    found = noise(6)
    found[:, 2] += 6 * (scans["source"] == "NORMAL2").to_numpy()
    figures = probe(found, scans, FEW).figures
    assert figures["normal.NORMAL2"].value > 0.99
    assert figures["pneumonia.foreign"].value == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("columns", [1, 8, 400])
def test_in_noise_it_finds_nothing(scans: pd.DataFrame, columns: int) -> None:
    normal = (scans["label"] == "normal").to_numpy()
    figures = [probe(noise(columns, seed)[normal], scans[normal], FEW).figures["normal.IM"] for seed in range(10)]
    # The AUC of one noise strays by 0.08, more than its interval says: bounds that one set in hundreds would cross.
    assert np.mean([each.value for each in figures]) == pytest.approx(0.5, abs=0.1)
    covered = [each.low is not None and each.high is not None and each.low < 0.5 < each.high for each in figures]
    assert sum(covered) >= 5
    assert sum(each.low is not None and each.low > 0.5 for each in figures) <= 3


def test_the_label_does_not_give_the_source_away(scans: pd.DataFrame) -> None:
    found = noise(4, seed=1)
    found[:, 0] += 9 * (scans["label"] == "pneumonia").to_numpy()
    for each in probe(found, scans, FEW).figures.values():
        assert each.value == pytest.approx(0.5, abs=0.15)


def test_nor_does_the_patient() -> None:
    # A column a patient: whoever was seen in fitting is known by heart, and nobody else is.
    scans = pd.DataFrame({"patient_id": np.repeat(np.arange(20), 6).astype(str), "label": "pneumonia"})
    scans["source"] = np.where(scans["patient_id"].astype(int) % 2, "foreign", "person")
    known = np.eye(20, dtype=np.float32)[scans["patient_id"].astype(int)]
    assert probe(known, scans, FEW).figures["pneumonia.foreign"].value == pytest.approx(0.5, abs=0.25)


def test_of_two_sources_each_is_as_easy_to_tell_as_the_other(scans: pd.DataFrame) -> None:
    found = noise(3)
    found[:, 0] += (scans["source"] == "IM").to_numpy()
    figures = probe(found, scans, FEW).figures
    assert figures["normal.IM"].value == pytest.approx(figures["normal.NORMAL2"].value, abs=0.01)
    assert figures["normal.IM"].value > 0.6


def test_the_same_seed_finds_the_same(scans: pd.DataFrame) -> None:
    assert probe(noise(3), scans, FEW) == probe(noise(3), scans, FEW)


def test_too_few_scans_or_patients_have_no_figure(scans: pd.DataFrame) -> None:
    foreign = np.flatnonzero(scans["source"] == "foreign")
    few = scans.drop(index=scans.index[foreign[:21]])
    found = probe(np.delete(noise(3), foreign[:21], axis=0), few, FEW)
    assert found.scans["pneumonia.foreign"] == 9
    assert set(found.figures) == {"normal.IM", "normal.NORMAL2"}
    one_family = scans.assign(patient_id=scans["patient_id"].where(scans["source"] != "foreign", "person1"))
    assert "pneumonia.foreign" not in probe(noise(3), one_family, FEW).figures


def test_a_label_of_one_source_has_nothing_to_tell_apart(scans: pd.DataFrame) -> None:
    found = probe(noise(3), scans.assign(source=scans["source"].replace("foreign", "person")), FEW)
    assert found.rows()[-1] == ("person pneumonia", "120", "too few to tell apart")


def test_numbers_and_words(scans: pd.DataFrame) -> None:
    found: Probe = probe(noise(3), scans, FEW)
    flat = found.flat("shortcut")
    name = "shortcut.source.pneumonia.foreign.auc"
    assert flat[f"{name}_low"] <= flat[name] <= flat[f"{name}_high"]
    rows = found.rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert rows[2] == ("foreign pneumonia", "30", str(found.figures["pneumonia.foreign"]))


@pytest.mark.parametrize("shape", [(SCANS - 1, 3), (SCANS,)])
def test_features_of_other_scans_are_refused(scans: pd.DataFrame, shape: tuple[int, ...]) -> None:
    with pytest.raises(EvaluationError, match="features must be"):
        probe(np.zeros(shape, dtype=np.float32), scans, FEW)


class TestFeatures:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32), dtype=np.uint8)

    def test_are_what_the_last_layer_is_given(self) -> None:
        network = build(Model(architecture="quick"), Images(height=32, width=32), seed=0)
        found = features(network, self.pixels, batch_size=2)
        assert found.shape == (5, 64)
        assert found.dtype == np.float32
        kernel, bias = network.layers[-1].get_weights()
        outputs = 1 / (1 + np.exp(-(found @ kernel + bias)))
        np.testing.assert_allclose(outputs, network.predict_on_batch(self.pixels[..., None]), atol=1e-5)

    def test_of_an_average_are_its_members_side_by_side(self, tmp_path: Path) -> None:
        members = [build(Model(architecture="quick"), Images(height=32, width=32), seed=seed) for seed in (0, 1)]
        scan = keras.Input((32, 32, 1), dtype="uint8")
        named = [keras.Model(each.input, each.output, name=f"member_{n}") for n, each in enumerate(members)]
        average = keras.Model(scan, keras.layers.Average()([each(scan) for each in named]))
        average.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
        expected = np.concatenate([features(each, self.pixels) for each in members], axis=1)
        assert expected.shape == (5, 128)
        for each in (average, loaded):
            np.testing.assert_allclose(features(each, self.pixels), expected, atol=1e-6)

    def test_of_a_layer_with_places_are_laid_out_in_a_row(self) -> None:
        scan = keras.Input((32, 32, 1), dtype="uint8")
        halved = keras.layers.AveragePooling2D(16)(keras.layers.Rescaling(1.0)(scan))
        network = keras.Model(scan, keras.layers.GlobalAveragePooling2D()(halved))
        expected = self.pixels.reshape(5, 2, 16, 2, 16).mean(axis=(2, 4)).reshape(5, 4)
        np.testing.assert_allclose(features(network, self.pixels), expected, rtol=1e-5)
