"""A network asked five times about each scan: as it is, and mirrored in four other frames."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from tests.xray.conftest import Learned
from xray.config import Images, Model
from xray.evaluation.inspection.saliency import evidence_maps, members
from xray.scheme_files import shipped_schemes
from xray.training.ensemble import ensemble
from xray.training.fit import train
from xray.training.networks.architectures import build
from xray.training.networks.test_time_augmentation import averaged_over_views

SIDE = 41
MIDDLE = SIDE // 2


@pytest.fixture(scope="module")
def seeing() -> keras.Model:
    """A network that answers with the pixels it was shown, so that the average shows the mean of the views."""
    scan = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    return averaged_over_views(keras.Model(scan, layers.Flatten()(layers.Rescaling(1.0)(scan))))


def mean_view(seeing: keras.Model, scan: NDArray[np.int_]) -> NDArray[np.float32]:
    return np.asarray(seeing(scan.astype(np.uint8)[np.newaxis, ..., np.newaxis])).reshape(SIDE, SIDE)


def test_four_of_five_views_are_mirrored(seeing: keras.Model) -> None:
    left = np.zeros((SIDE, SIDE), int)
    left[:, :10] = 100
    seen = mean_view(seeing, left)
    np.testing.assert_allclose(seen[:, :7], 20, atol=1e-4)
    np.testing.assert_allclose(seen[:, -7:], 80, atol=1e-4)
    np.testing.assert_allclose(seen[:, 13:-13], 0, atol=1e-4)


def test_they_see_more_or_less_of_height_and_width_about_the_centre(seeing: keras.Model) -> None:
    ramp = np.abs(np.arange(SIDE) - MIDDLE)[:, np.newaxis] * 10 * np.ones((1, SIDE), int)
    down, across = mean_view(seeing, ramp)[:, MIDDLE], mean_view(seeing, ramp.T)[MIDDLE]
    # Ten rows off the centre a view shows what lies so many rows off: over and under one by the same share.
    factors = [1, np.exp(-0.125), np.exp(0.125), 0.9, 1.1]
    for seen in (down, across):
        assert seen[MIDDLE] == pytest.approx(0, abs=0.1)
        assert seen[MIDDLE - 10] == seen[MIDDLE + 10] == pytest.approx(100 * np.mean(factors), abs=0.5)


def test_beyond_the_border_the_scan_is_mirrored(seeing: keras.Model) -> None:
    even = np.full((SIDE, SIDE), 77)
    np.testing.assert_allclose(mean_view(seeing, even), 77, atol=1e-4)


def test_answers_are_averaged_and_kept_whole_on_disk(tmp_path: Path) -> None:
    network = build(
        Model(architecture="residual"), Images(height=SIDE, width=SIDE), seed=3, scheme=shipped_schemes()["cause"]
    )
    views = averaged_over_views(network)
    views.save(tmp_path / "views.keras")
    loaded = keras.saving.load_model(tmp_path / "views.keras", compile=False, safe_mode=True)
    scans = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 1), np.uint8)
    np.testing.assert_allclose(loaded(scans), views(scans), atol=1e-6)
    np.testing.assert_allclose(np.sum(loaded(scans), axis=1), 1, atol=1e-5)
    assert np.abs(np.asarray(loaded(scans)) - np.asarray(network(scans))).max() > 1e-4
    even = np.full((1, SIDE, SIDE, 1), 99, np.uint8)  # the same in every view
    np.testing.assert_allclose(loaded(even), network(even), atol=1e-6)


def test_a_trained_network_has_the_weights_of_the_one_that_looks_once(prepared: Learned, tmp_path: Path) -> None:
    once = train(prepared.catalog, prepared.store, prepared.config, tmp_path / "once")
    model = prepared.config.model.model_copy(update={"views": 5})
    config = prepared.config.model_copy(update={"model": model})
    often = train(prepared.catalog, prepared.store, config, tmp_path / "often")
    plain, views = (keras.saving.load_model(each.model, compile=False) for each in (once, often))
    scans = prepared.store.read(prepared.catalog.rows("test")["sha256"].tolist()[:4])
    np.testing.assert_allclose(views(scans[..., None]), averaged_over_views(plain)(scans[..., None]), atol=1e-3)
    assert [each.name for each in members(views)] == [plain.name]
    np.testing.assert_allclose(evidence_maps(views, scans), evidence_maps(plain, scans), atol=1e-2)
    together = keras.saving.load_model(ensemble([often, often], config, tmp_path).model, compile=False)
    np.testing.assert_allclose(together(scans[..., None]), views(scans[..., None]), atol=1e-6)
    assert [each.name for each in members(together)] == 2 * [plain.name]
