"""The test of the maps: those of a trained network pass it, and what ignores the weights fails it."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from tests.xray.evaluation.inspection.opacities import chests, trained
from xray.config import Images, Model
from xray.errors import EvaluationError
from xray.evaluation.inspection.saliency import evidence_maps
from xray.evaluation.inspection.saliency_sanity import LIMIT, randomize_top, sanity_check
from xray.training.networks.architectures import ARCHITECTURES, build

SCANS = chests(12, seed=1).pixels
SMALL = Images(height=48, width=40)


def edges(network: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A map that looks right and ignores the network: how steep the brightness is."""
    steep: NDArray[np.float32] = np.hypot(*np.gradient(pixels.astype(np.float32), axis=(1, 2)))
    return steep


def test_a_trained_network_passes() -> None:
    found = sanity_check(trained(), SCANS, seed=0)
    assert found.passed
    assert found.similarity is not None and 0 < found.similarity < LIMIT
    assert str(found) == (
        "they depend on the learned weights: with random last layers, "
        f"their similarity is {found.similarity:.2f}, below 0.5"
    )


def test_a_map_that_ignores_the_weights_fails() -> None:
    found = sanity_check(trained(), SCANS, seed=0, maps=edges)
    assert not found.passed
    assert found.similarity == pytest.approx(1)
    assert "hardly depend" in str(found) and "1.00, not below 0.5" in str(found)


def test_the_similarity_is_the_mean_absolute_rank_correlation_by_hand() -> None:
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15) = 0.8. Against 4 3 2 1: -1, which is as alike.
    # A map that is empty afterwards is not alike at all, and one that was empty before does not count.
    before = np.array([[[1, 2, 3, 4]], [[1, 2, 3, 4]], [[1, 2, 3, 4]], [[0, 0, 0, 0]]], np.float32)
    after = np.array([[[1, 5, 2, 9]], [[9, 5, 2, 1]], [[0, 0, 0, 0]], [[1, 2, 3, 4]]], np.float32)
    network = trained()
    found = sanity_check(network, SCANS[:4], 0, maps=lambda given, _: before if given is network else after)
    assert found.similarity == pytest.approx((0.8 + 1 + 0) / 3)
    assert not found.passed


def test_the_seed_decides() -> None:
    first, again, other = (sanity_check(trained(), SCANS, seed).similarity for seed in (3, 3, 4))
    assert first == pytest.approx(again, abs=1e-5)
    assert first != pytest.approx(other, abs=1e-3)


def test_maps_without_evidence_cannot_be_tested() -> None:
    def empty(network: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.zeros(pixels.shape, np.float32)

    found = sanity_check(trained(), SCANS, 0, maps=empty)
    assert (found.similarity, found.passed) == (None, None)
    assert str(found) == "they could not be tested: no scan has evidence for the finding"


class TestRandomizeTop:
    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_redraws_from_the_output_to_the_last_convolution_and_no_further(self, name: str) -> None:
        network = build(Model.model_validate({"architecture": name}), SMALL, seed=0)
        convolutions = [layer.name for layer in network.layers if isinstance(layer, layers.Conv2D)]
        redrawn = randomize_top(network, seed=0)
        kept = {}
        for old, new in zip(network.layers, redrawn.layers, strict=True):
            if isinstance(old, layers.Conv2D | layers.Dense):
                kept[old.name] = np.array_equal(old.get_weights()[0], new.get_weights()[0])
        assert [each for each, same in kept.items() if same] == convolutions[:-1]
        assert not kept[convolutions[-1]]

    def test_leaves_the_network_as_it_is(self) -> None:
        network = build(Model(architecture="quick"), SMALL, seed=0)
        before = network.get_weights()
        randomize_top(network, seed=0)
        for old, now in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(old, now)

    def test_the_seed_alone_decides_the_weights(self) -> None:
        network = build(Model(architecture="quick"), SMALL, seed=0)
        first, again, other = (randomize_top(network, seed).get_weights()[-2] for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.isclose(first, other).any()

    def test_draws_other_weights_than_training_began_with(self) -> None:
        network = build(Model(architecture="quick"), SMALL, seed=0)  # never trained: these are its first weights
        for old, new in zip(
            network.layers[-1].get_weights()[:1], randomize_top(network, 0).get_weights()[-2:-1], strict=True
        ):
            assert not np.isclose(old, new).any()

    def test_every_member_of_an_average_is_redrawn_in_its_own_way(self) -> None:
        scan = keras.Input((48, 40, 1), dtype="uint8")
        parts = [build(Model(architecture="quick"), SMALL, seed=0) for _ in range(2)]
        named = [keras.Model(part.input, part.output, name=f"member_{place}") for place, part in enumerate(parts)]
        average = keras.Model(scan, layers.Average()([part(scan) for part in named]))
        first, second = (
            layer.layers[-1].kernel.numpy()
            for layer in randomize_top(average, 0).layers
            if isinstance(layer, keras.Model)
        )
        for redrawn in (first, second):
            assert not np.isclose(redrawn, parts[0].layers[-1].kernel.numpy()).any()
        assert not np.isclose(first, second).any()
        np.testing.assert_array_equal(named[0].layers[-1].kernel, parts[0].layers[-1].kernel)

    def test_biases_and_normalizations_begin_anew_above_and_stay_below(self) -> None:
        scan = keras.Input((8, 8, 1), dtype="uint8")
        x = layers.Rescaling(1 / 255)(scan)
        for _ in range(2):
            x = layers.BatchNormalization()(layers.Conv2D(2, 3)(x))
        network = keras.Model(scan, layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(x)))
        network.set_weights([np.full(weight.shape, 0.3) for weight in network.get_weights()])
        below, above = (
            layer for layer in randomize_top(network, 0).layers if isinstance(layer, layers.BatchNormalization)
        )
        np.testing.assert_allclose(np.stack(below.get_weights()), 0.3)
        np.testing.assert_array_equal(np.stack(above.get_weights()), [[1, 1], [0, 0], [0, 0], [1, 1]])

    def test_a_network_without_a_convolution_is_refused(self) -> None:
        scan = keras.Input((4, 4, 1), dtype="uint8")
        flat = keras.Model(scan, layers.Dense(1, activation="sigmoid")(layers.Flatten()(scan)), name="flat")
        with pytest.raises(EvaluationError, match="must have a convolution. Received: flat has none"):
            randomize_top(flat, 0)


def test_an_average_of_trained_networks_passes_too() -> None:
    scan = keras.Input((*SCANS.shape[1:], 1), dtype="uint8")
    named = [keras.Model(trained().input, trained().output, name=f"member_{place}") for place in range(2)]
    average = keras.Model(scan, layers.Average()([part(scan) for part in named]))
    np.testing.assert_allclose(evidence_maps(average, SCANS), evidence_maps(trained(), SCANS), atol=1e-6)
    assert sanity_check(average, SCANS, seed=0).passed
