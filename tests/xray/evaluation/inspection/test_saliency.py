"""Maps of evidence: right by hand where the map is known, and on the opacities where a network has learnt them."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from tests.xray.evaluation.inspection.opacities import chests, trained
from xray.config import Images, Model
from xray.errors import EvaluationError
from xray.evaluation.inspection.saliency import NORMAL_OUTPUT, evidence_maps, members
from xray.labels import NORMAL
from xray.scheme_files import shipped_schemes
from xray.training.networks.architectures import ARCHITECTURES, build
from xray.training.predict import predict

SCANS = np.random.default_rng(0).integers(1, 256, (5, 4, 4), dtype=np.uint8)
TOP_LEFT, BOTTOM_RIGHT = np.zeros((2, 4, 4))
TOP_LEFT[:2, :2] = BOTTOM_RIGHT[2:, 2:] = 1
"""Quadrants of a scan of 4 x 4."""


def looking_at(*weights: NDArray[np.float64], scale: float = 0.01) -> keras.Model:
    """A network that passes brightness on, and whose outputs weigh each place as they are told."""
    scan = keras.Input((4, 4, 1), dtype="uint8")
    passed = layers.Conv2D(1, 1, use_bias=False)(layers.Rescaling(1.0)(scan))
    activation = "sigmoid" if len(weights) == 1 else "softmax"
    outputs = layers.Dense(len(weights), activation=activation)(layers.Flatten()(passed))
    network = keras.Model(scan, outputs)
    kernel = scale * np.stack([each.ravel() for each in weights], axis=1)
    network.set_weights([np.ones((1, 1, 1, 1)), kernel, np.zeros(len(weights))])
    return network


def strongest_is_1(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return evidence / evidence.max(axis=(1, 2), keepdims=True)


class TestByHand:
    def test_a_network_that_looks_at_one_quadrant_has_its_brightness_for_a_map(self) -> None:
        # The output is P(normal): what lowers it speaks for pneumonia.
        found = evidence_maps(looking_at(-TOP_LEFT), SCANS)
        np.testing.assert_allclose(found, strongest_is_1(SCANS * TOP_LEFT), rtol=1e-5)
        assert found.dtype == np.float32

    def test_what_speaks_against_pneumonia_is_not_shown(self) -> None:
        found = evidence_maps(looking_at(BOTTOM_RIGHT - TOP_LEFT), SCANS)
        np.testing.assert_allclose(found, strongest_is_1(SCANS * TOP_LEFT), rtol=1e-5)
        assert not evidence_maps(looking_at(BOTTOM_RIGHT), SCANS).any()

    def test_a_network_sure_beyond_rounding_has_the_same_map(self) -> None:
        sure = looking_at(-TOP_LEFT, scale=100)
        assert (predict(sure, SCANS)[:, 0] == 1).all()
        np.testing.assert_allclose(evidence_maps(sure, SCANS), strongest_is_1(SCANS * TOP_LEFT), rtol=1e-5)

    def test_of_several_classes_all_but_normal_count_by_their_share(self) -> None:
        network = looking_at(np.ones((4, 4)), 3 * TOP_LEFT, 2 * BOTTOM_RIGHT, scale=0.001)
        bacterial, viral = 0.003 * (SCANS * TOP_LEFT).sum((1, 2)), 0.002 * (SCANS * BOTTOM_RIGHT).sum((1, 2))
        share = (1 / (1 + np.exp(viral - bacterial)))[:, np.newaxis, np.newaxis]  # of bacterial among pneumonia
        evidence = SCANS * (share * 3 * TOP_LEFT + (1 - share) * 2 * BOTTOM_RIGHT - 1)
        np.testing.assert_allclose(
            evidence_maps(network, SCANS), strongest_is_1(np.maximum(evidence, 0)), rtol=1e-4, atol=1e-6
        )

    def test_two_outputs_give_what_one_gives(self) -> None:
        one, two = looking_at(-TOP_LEFT), looking_at(np.zeros((4, 4)), TOP_LEFT)
        np.testing.assert_allclose(evidence_maps(one, SCANS), evidence_maps(two, SCANS), rtol=1e-5)

    def test_a_coarse_map_is_enlarged_by_straight_lines_between_the_middles_of_its_cells(self) -> None:
        scan = keras.Input((4, 4, 1), dtype="uint8")
        halved = layers.AveragePooling2D(2)(layers.Rescaling(1.0)(scan))
        network = keras.Model(scan, layers.Dense(1, activation="sigmoid")(layers.Flatten()(halved)))
        network.set_weights([np.full((4, 1), -0.001), np.zeros(1)])
        found = evidence_maps(network, np.tile(np.array([0, 0, 200, 200], np.uint8), (1, 4, 1)))
        np.testing.assert_allclose(found[0], np.tile([0, 0.25, 0.75, 1], (4, 1)), atol=1e-6)

    def test_where_a_network_averages_over_positions_it_is_the_map_of_the_paper(self) -> None:
        keras.utils.set_random_seed(0)
        scan = keras.Input((4, 4, 1), dtype="uint8")
        features = layers.Conv2D(3, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(scan))
        pooled = layers.GlobalAveragePooling2D()(features)
        network = keras.Model(scan, layers.Dense(1, activation="sigmoid")(pooled))
        channels = keras.Model(scan, features)(SCANS[..., np.newaxis]).numpy()
        weights = -network.layers[-1].kernel.numpy()[:, 0] / 16  # mean gradient of the score, equations 1 and 2
        expected = np.maximum((channels * weights).sum(-1), 0)
        assert expected.max(axis=(1, 2)).min() > 0
        np.testing.assert_allclose(evidence_maps(network, SCANS), strongest_is_1(expected), rtol=1e-4, atol=1e-6)

    def test_an_average_of_networks_has_the_mean_of_their_maps(self, tmp_path: Path) -> None:
        parts = [looking_at(-TOP_LEFT), looking_at(-BOTTOM_RIGHT, scale=0.001), looking_at(-BOTTOM_RIGHT)]
        scan = keras.Input((4, 4, 1), dtype="uint8")
        named = [keras.Model(part.input, part.output, name=f"member_{place}") for place, part in enumerate(parts)]
        keras.Model(scan, layers.Average()([part(scan) for part in named])).save(tmp_path / "average.keras")
        average = keras.saving.load_model(tmp_path / "average.keras", compile=False)
        assert [each.name for each in members(average)] == ["member_0", "member_1", "member_2"]
        mean = strongest_is_1(SCANS * TOP_LEFT) + 2 * strongest_is_1(SCANS * BOTTOM_RIGHT)
        np.testing.assert_allclose(evidence_maps(average, SCANS), strongest_is_1(mean), rtol=1e-5)


def test_normal_is_the_first_of_several_outputs_in_every_scheme() -> None:
    several = [scheme for scheme in shipped_schemes().values() if scheme.outputs > 1]
    assert several
    assert {scheme.classes[NORMAL_OUTPUT] for scheme in several} == {NORMAL}


@pytest.mark.parametrize("scheme", shipped_schemes())
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_maps_whatever_the_batch(name: str, scheme: str) -> None:
    # Fresh weights may speak against pneumonia everywhere, which is no map; those of seed 2 do in none of these.
    network = build(
        Model.model_validate({"architecture": name}), Images(height=48, width=40), 2, shipped_schemes()[scheme]
    )
    scans = np.random.default_rng(1).integers(0, 256, (5, 48, 40), dtype=np.uint8)
    found = evidence_maps(network, scans, batch_size=2)
    assert found.shape == scans.shape
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert set(found.max(axis=(1, 2))) == {1}
    np.testing.assert_allclose(found, evidence_maps(network, scans), atol=1e-4)


def test_no_scans_have_no_maps() -> None:
    assert evidence_maps(looking_at(TOP_LEFT), SCANS[:0]).shape == (0, 4, 4)


def test_a_trained_network_looks_at_the_opacities() -> None:
    unseen = chests(80, seed=1)
    found = evidence_maps(trained(), unseen.pixels)
    called = unseen.positive & (predict(trained(), unseen.pixels)[:, 0] > 0.5)
    assert called.sum() >= 30
    on_opacity = [
        opacity.ravel()[heat.argmax()] for heat, opacity in zip(found[called], unseen.opacities[called], strict=True)
    ]
    by_chance = unseen.opacities[called].mean()
    assert np.mean(on_opacity) > 5 * by_chance  # ten times as often here; the paper's plain map hits twice as often


@pytest.mark.parametrize("pixels", [SCANS.astype(np.float32), SCANS[0], SCANS[..., np.newaxis]])
def test_other_pixels_are_refused(pixels: NDArray) -> None:
    with pytest.raises(EvaluationError, match=r"uint8 \(n, height, width\). Received: "):
        evidence_maps(looking_at(TOP_LEFT), pixels)


def test_a_network_that_cannot_be_looked_into_is_refused() -> None:
    scan = keras.Input((4, 4, 1), dtype="uint8")
    flat = layers.Flatten()(scan)
    linear = keras.Model(scan, layers.Dense(1, name="score")(flat))
    with pytest.raises(EvaluationError, match="end in Dense with sigmoid or softmax. Received: score"):
        evidence_maps(linear, SCANS)
    blind = keras.Model(scan, layers.Dense(1, activation="sigmoid")(flat), name="blind")
    with pytest.raises(EvaluationError, match="a layer with rows and columns. Received: blind has none"):
        evidence_maps(blind, SCANS)
