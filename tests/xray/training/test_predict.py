"""One way to score pixels: the probability of each class, whatever the batch."""

import keras
import numpy as np
import pytest

from xray.config import Images, Model
from xray.scheme_files import shipped_schemes
from xray.training.networks.architectures import build
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


def test_of_two_classes_the_second_is_the_networks_output(network: keras.Model, pixels: np.ndarray) -> None:
    found = predict(network, pixels)
    assert found.dtype == np.float64
    assert found.shape == (10, 2)
    output = network(pixels[..., np.newaxis]).numpy()[:, 0]
    np.testing.assert_allclose(found, np.stack([1 - output, output], axis=1), atol=1e-6)


def test_of_more_classes_each_has_an_output(pixels: np.ndarray) -> None:
    network = build(Model(architecture="quick"), Images(height=32, width=40), 0, shipped_schemes()["covid"])
    found = predict(network, pixels)
    np.testing.assert_allclose(found, network(pixels[..., np.newaxis]).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert predict(network, pixels[:0]).shape == (0, 4)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 32])
def test_a_score_does_not_depend_on_the_batch(network: keras.Model, pixels: np.ndarray, batch_size: int) -> None:
    np.testing.assert_allclose(predict(network, pixels, batch_size), predict(network, pixels), atol=1e-6)


def test_no_scans_have_no_scores(network: keras.Model, pixels: np.ndarray) -> None:
    assert predict(network, pixels[:0]).shape == (0, 2)


@pytest.mark.parametrize("wrong", [np.zeros((32, 40), np.uint8), np.zeros((1, 32, 40), np.float32)])
def test_anything_but_stored_pixels_is_refused(network: keras.Model, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"pixels must be uint8 \(n, height, width\). Received: "):
        predict(network, wrong)
