"""The networks are those that the recipes name, layer for layer."""

import keras
import numpy as np
import pytest

from xray.config import Images, Model
from xray.training.export import arithmetic
from xray.training.networks.architectures import ARCHITECTURES, build

SMALL = Images(height=32, width=40)


@pytest.fixture(scope="module")
def article() -> keras.Model:
    """The article's network at its full size: 320 MB of weights, made once."""
    return build(Model(architecture="article"), Images(height=300, width=300), seed=0)


class TestArticle:
    def test_has_the_articles_layers_in_order(self, article: keras.Model) -> None:
        kinds = [type(layer).__name__ for layer in article.layers]
        convolutions = 3 * ["Conv2D", "MaxPooling2D"]
        assert kinds == ["InputLayer", "Rescaling", *convolutions, "Flatten", "Dense", "Dense"]

    def test_convolves_by_3_x_3_with_32_64_and_128_filters_and_relu(self, article: keras.Model) -> None:
        found = [layer.get_config() for layer in article.layers if isinstance(layer, keras.layers.Conv2D)]
        assert [config["filters"] for config in found] == [32, 64, 128]
        shared = {
            (config["kernel_size"], config["strides"], config["padding"], config["activation"]) for config in found
        }
        assert shared == {((3, 3), (1, 1), "valid", "relu")}

    def test_pools_by_2_x_2(self, article: keras.Model) -> None:
        pools = [layer for layer in article.layers if isinstance(layer, keras.layers.MaxPooling2D)]
        assert {(layer.pool_size, layer.strides, layer.padding) for layer in pools} == {((2, 2), (2, 2), "valid")}

    def test_ends_in_512_with_relu_and_one_sigmoid(self, article: keras.Model) -> None:
        dense = [layer.get_config() for layer in article.layers[-2:]]
        assert [(config["units"], config["activation"]) for config in dense] == [(512, "relu"), (1, "sigmoid")]

    def test_has_the_weights_that_a_hand_counts_at_300_x_300(self, article: keras.Model) -> None:
        # 300 → 298 → 149 → 147 → 73 → 71 → 35, so 35 * 35 * 128 = 156,800 features enter the dense layer.
        by_hand = [9 * 32 + 32, 9 * 32 * 64 + 64, 9 * 64 * 128 + 128, 156_800 * 512 + 512, 512 + 1]
        assert by_hand[:3] == [320, 18_496, 73_856]
        assert [layer.count_params() for layer in article.layers if layer.count_params()] == by_hand
        assert article.count_params() == 80_375_297

    def test_rescales_to_0_to_1(self, article: keras.Model) -> None:
        scaled = article.layers[1](np.array([[0, 51, 255]], np.uint8))
        np.testing.assert_allclose(scaled, [[0, 0.2, 1]], rtol=1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
class TestAny:
    def test_takes_gray_bytes_and_gives_one_share(self, name: str) -> None:
        network = build(Model.model_validate({"architecture": name}), SMALL, seed=0)
        assert network.name == name
        assert network.input_shape == (None, 32, 40, 1)
        assert network.input.dtype == "uint8"
        outputs = network(np.random.default_rng(0).integers(0, 256, (5, 32, 40, 1), np.uint8)).numpy()
        assert outputs.shape == (5, 1)
        assert outputs.dtype == np.float32
        assert ((outputs > 0) & (outputs < 1)).all()

    def test_computes_in_bfloat16_under_the_mixed_policy_but_for_the_sigmoid(self, name: str) -> None:
        with arithmetic("mixed_bfloat16"):
            network = build(Model.model_validate({"architecture": name}), SMALL, seed=0)
        *hidden, last = [layer for layer in network.layers if layer.weights]
        assert {layer.compute_dtype for layer in hidden} == {"bfloat16"}
        assert {weight.dtype for weight in network.weights} == {"float32"}
        assert last.compute_dtype == "float32"
        assert network(np.zeros((2, 32, 40, 1), np.uint8)).dtype == "float32"

    def test_the_seed_alone_decides_the_weights(self, name: str) -> None:
        # Any thread of the process may draw from the global generators: Prefect's and MLflow's do.
        built = []
        for disturbance, seed in ((1, 0), (2, 0), (2, 1)):
            keras.utils.set_random_seed(disturbance)
            built.append(build(Model.model_validate({"architecture": name}), SMALL, seed=seed).get_weights())
        for first, second, other in zip(*built, strict=True):
            np.testing.assert_array_equal(first, second)
            constant = len(np.unique(other)) == 1  # biases begin at zero, scales of batch normalization at one
            assert constant or (first != other).any()


def test_a_residual_network_has_as_many_weights_at_any_size() -> None:
    model = Model(architecture="residual")
    counts = {build(model, Images(height=side, width=side), seed=0).count_params() for side in (32, 64, 128)}
    assert counts == {884_241}


class TestStandardize:
    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_brightness_and_contrast_do_not_matter(self, name: str) -> None:
        network = build(Model.model_validate({"architecture": name, "standardize": True}), SMALL, seed=0)
        scans = np.random.default_rng(0).integers(0, 50, (4, 32, 40, 1), np.uint8)
        np.testing.assert_allclose(network(4 * scans + 20), network(scans), atol=2e-3)

    def test_they_do_without_it(self) -> None:
        network = build(Model(architecture="quick"), SMALL, seed=0)
        scans = np.random.default_rng(0).integers(0, 50, (4, 32, 40, 1), np.uint8)
        assert np.abs(network(4 * scans + 20) - network(scans)).max() > 0.01

    def test_a_scan_of_one_gray_has_an_answer(self) -> None:
        network = build(Model(architecture="residual", standardize=True), SMALL, seed=0)
        assert np.isfinite(network(np.full((1, 32, 40, 1), 7, np.uint8))).all()
