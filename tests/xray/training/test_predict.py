"""One way to score pixels: p_pneumonia = 1 - P(normal), whatever the batch."""

import keras
import numpy as np
import pytest

from xray.config import Images, Model
from xray.training.architectures import build
from xray.training.predict import predict


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A small network with random weights."""
    keras.utils.set_random_seed(2)
    return build(Model(architecture="quick"), Images(height=32, width=40), seed=0)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Ten scans of noise."""
    return np.random.default_rng(0).integers(0, 256, (10, 32, 40), np.uint8)


def test_it_is_one_minus_the_networks_output(network: keras.Model, pixels: np.ndarray) -> None:
    found = predict(network, pixels)
    assert found.dtype == np.float64
    assert found.shape == (10,)
    np.testing.assert_allclose(found, 1 - network(pixels[..., np.newaxis]).numpy()[:, 0], atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 32])
def test_a_score_does_not_depend_on_the_batch(network: keras.Model, pixels: np.ndarray, batch_size: int) -> None:
    np.testing.assert_allclose(predict(network, pixels, batch_size), predict(network, pixels), atol=1e-6)


def test_no_scans_have_no_scores(network: keras.Model, pixels: np.ndarray) -> None:
    assert predict(network, pixels[:0]).shape == (0,)


@pytest.mark.parametrize("wrong", [np.zeros((32, 40), np.uint8), np.zeros((1, 32, 40), np.float32)])
def test_anything_but_stored_pixels_is_refused(network: keras.Model, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"pixels must be uint8 \(n, height, width\). Received: "):
        predict(network, wrong)
