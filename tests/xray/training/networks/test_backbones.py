"""The networks of `keras.applications`: fed as they were trained, decided by the seed or a file, and like our own."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from tests.xray.conftest import TINY, Learned
from xray.config import Config, Images, Model, load_config
from xray.errors import TrainingError
from xray.evaluation.inspection.linear_probe import features
from xray.evaluation.inspection.saliency import evidence_maps
from xray.evaluation.inspection.saliency_sanity import randomize_top
from xray.scheme_files import shipped_schemes
from xray.training.checkpoint import save_checkpoint
from xray.training.export import arithmetic, export
from xray.training.fit import train
from xray.training.history import Epoch, History
from xray.training.networks.architectures import build
from xray.training.networks.backbones import BACKBONES, load_weights
from xray.training.optimization.objective import compiled
from xray.training.predict import predict
from xray.training.training_digest import training_digest

IMAGES = Images(height=64, width=96)
SCANS = np.stack([np.random.default_rng(0).integers(0, high, (64, 96), np.uint8) for high in (60, 140, 256)])
RGB = np.repeat(SCANS[..., np.newaxis], 3, axis=-1).astype(np.float32)
SMALLEST = "mobilenet_v3_small"
SHIPPED: dict[str, tuple[Callable[..., keras.Model], Callable[[Any], Any]]] = {
    "mobilenet_v2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2.preprocess_input),
    "mobilenet_v3_small": (keras.applications.MobileNetV3Small, keras.applications.mobilenet_v3.preprocess_input),
    "efficientnet_v2_b0": (keras.applications.EfficientNetV2B0, keras.applications.efficientnet_v2.preprocess_input),
    "densenet121": (keras.applications.DenseNet121, keras.applications.densenet.preprocess_input),
    "resnet50_v2": (keras.applications.ResNet50V2, keras.applications.resnet_v2.preprocess_input),
}
"""Each network as Keras ships it, and what it wants done to red, green and blue, 0 to 255."""

pytestmark = [pytest.mark.timeout(900), pytest.mark.long(110)]  # a step of so many layers is long in the making


def model_of(name: str, weights: str = "none") -> Model:
    return Model.model_validate({"architecture": "backbone", "backbone": name, "weights": weights})


def shipped(name: str, seed: int = 0) -> keras.Model:
    """The network as Keras ships it, with statistics as of a training: with its first ones, all scans look the same."""
    keras.utils.set_random_seed(seed)
    make, preprocess = SHIPPED[name]
    network = make(include_top=False, weights=None, input_shape=(64, 96, 3), pooling="avg")
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(preprocess(RGB.copy()), training=True)
    return network


def as_published(network: keras.Model, path: Path) -> Path:
    """Write weights as those for ImageNet are published: by layer, in the older of Keras's two formats."""
    whole = path.with_name("whole.h5")
    network.save(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        for name, group in source["model_weights"].items():
            source.copy(group, target, name)
        target.attrs.update(source["model_weights"].attrs)
    return path


@pytest.fixture(scope="module")
def built() -> Callable[[str], keras.Model]:
    """Build each backbone once, from seed 0, for the tests to which its weights are no matter: it takes seconds."""
    return functools.cache(lambda name: build(model_of(name), IMAGES, seed=0))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smallest backbone, as `save_weights` writes them."""
    path = tmp_path_factory.mktemp("weights") / "mine.weights.h5"
    shipped(SMALLEST).save_weights(path)
    return path


@pytest.mark.parametrize("name", BACKBONES)
class TestAny:
    def test_it_gives_what_keras_gives_for_the_gray_scan_repeated(
        self, name: str, built: Callable[[str], keras.Model], tmp_path: Path
    ) -> None:
        theirs, ours = shipped(name), built(name)
        last = ours.layers[-1].get_weights()
        expected = np.asarray(theirs(SHIPPED[name][1](RGB.copy())))
        assert np.ptp(expected, axis=0).max() > 0.1 * np.abs(expected).max(), "each scan has features of its own"
        theirs.save_weights(tmp_path / "a.weights.h5")
        for path in (tmp_path / "a.weights.h5", as_published(theirs, tmp_path / "published.h5")):
            ours.set_weights([np.zeros_like(each) for each in ours.get_weights()[:-2]] + last)
            load_weights(ours, path)
            np.testing.assert_allclose(features(ours, SCANS), expected, rtol=0, atol=2e-3 * np.abs(expected).max())
        np.testing.assert_array_equal(ours.layers[-1].get_weights()[0], last[0])

    def test_it_leaves_no_seed_to_a_global_generator(self, name: str, built: Callable[[str], keras.Model]) -> None:
        def seeds(config: Any) -> list[Any]:
            parts = config.items() if isinstance(config, dict) else ()
            return [each for key, part in parts for each in ([part] if key == "seed" else seeds(part))]

        found = [seed for layer in built(name).layers for seed in seeds(layer.get_config())]
        assert len(found) > 50
        assert None not in found
        assert len(set(found)) == len(found)

    def test_its_statistics_follow_within_some_tens_of_steps(
        self, name: str, built: Callable[[str], keras.Model]
    ) -> None:
        normal = [each for each in built(name).layers if hasattr(each, "moving_mean")]
        assert {layer.momentum for layer in normal} == {0.9}

    def test_it_has_maps_and_a_top_to_redraw(self, name: str) -> None:
        network = build(model_of(name), IMAGES, 0, shipped_schemes()["cause"])
        found = evidence_maps(network, SCANS, batch_size=2)
        assert found.shape == SCANS.shape
        assert ((found >= 0) & (found <= 1)).all()
        assert found.any()
        assert network.layers[-3].output.shape[1:3] == (2, 3), "a cell for 32 x 32 pixels"
        redrawn = randomize_top(network, seed=1)
        assert (redrawn.layers[-1].get_weights()[0] != network.layers[-1].get_weights()[0]).all()


# Between them: depthwise kernels, an initializer of the network's own, and dropout.
@pytest.mark.parametrize("name", [SMALLEST, "efficientnet_v2_b0"])
def test_the_seed_alone_decides_weights_and_dropout(name: str) -> None:
    built = []
    for disturbance, seed in ((1, 0), (2, 0), (2, 1)):
        keras.utils.set_random_seed(disturbance)
        network = build(model_of(name), IMAGES, seed)
        built.append([*network.get_weights(), np.asarray(network(SCANS[..., np.newaxis], training=True))])
    for first, second, other in zip(*built, strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.ptp(first) == 0 or (first != other).any(), "all but biases, scales and statistics"


def test_it_computes_in_bfloat16_but_for_the_scaling_and_the_sigmoid() -> None:
    with arithmetic("mixed_bfloat16"):
        network = build(model_of(SMALLEST), IMAGES, seed=0)
    *hidden, last = [layer for layer in network.layers if layer.weights]
    assert {layer.compute_dtype for layer in hidden} == {"bfloat16"}
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert (network.get_layer("as_trained").compute_dtype, last.compute_dtype) == ("float32", "float32")
    assert network(SCANS[..., np.newaxis]).dtype == "float32"


class TestFromAFile:
    @staticmethod
    def config_of(file: Path, *settings: str) -> Config:
        named = ["model.architecture=backbone", f"model.backbone={SMALLEST}", f"model.weights={file}"]
        return load_config("quick", [*TINY, "training.epochs=1", *named, *settings])

    def test_a_training_starts_from_the_files_weights(self, prepared: Learned, file: Path, tmp_path: Path) -> None:
        own = Path(shutil.copy(file, tmp_path / "own.weights.h5"))
        config = self.config_of(own, "training.precision=float32", "training.learning_rate=1e-9")
        theirs = shipped(SMALLEST)
        theirs.load_weights(own)
        saved = theirs.get_weights()
        for start, given in zip(compiled(config, 1).get_weights()[:-2], saved, strict=True):
            np.testing.assert_array_equal(start, given)
        trained = train(prepared.catalog, prepared.store, config, tmp_path / "abc")
        own.unlink()  # whatever comes after the training does without
        network = keras.saving.load_model(trained.model, compile=False, safe_mode=True)
        np.testing.assert_allclose(network.get_layer("conv").get_weights()[0], saved[0], atol=1e-6)
        moved = network.get_layer("conv_bn").get_weights()[2]
        assert np.abs(moved - saved[3]).max() > 1e-4, "the mean of batch normalization follows the scans"
        rows = prepared.catalog.rows("validation")
        p = predict(network, prepared.store.read(rows["sha256"].tolist()))
        by_hand = -np.log(np.where(rows["label"] == "pneumonia", p[:, 0], p[:, 1])).mean()
        assert by_hand == pytest.approx(trained.history().epochs[0].val_loss, rel=1e-3)

    def test_mixed_precision_is_exported_in_float32_without_the_file(self, file: Path, training: Path) -> None:
        own = Path(shutil.copy(file, training / "own.weights.h5"))
        config = self.config_of(own)
        with arithmetic("mixed_bfloat16"):
            network = compiled(config, steps=1)
        epoch = Epoch(1, 0, 1.0, loss=1.0, accuracy=0.5, val_loss=1.0, val_accuracy=0.5, val_auc=0.5)
        last = save_checkpoint(training, network, History((epoch,), "mixed_bfloat16"))
        own.unlink()
        export(training, last, config)
        exported = keras.saving.load_model(training / "model.keras", compile=False, safe_mode=True)
        assert {layer.compute_dtype for layer in exported.layers} == {"float32"}
        for kept, had in zip(exported.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, had)

    def test_the_training_is_named_by_the_content_not_the_place(
        self, prepared: Learned, file: Path, tmp_path: Path
    ) -> None:
        moved = Path(shutil.copy(file, tmp_path / "moved.weights.h5"))
        other = tmp_path / "other.weights.h5"
        shipped(SMALLEST, seed=1).save_weights(other)
        digests = [training_digest(prepared.catalog, self.config_of(each)) for each in (file, moved, other)]
        assert digests[0] == digests[1]
        assert len({*digests, training_digest(prepared.catalog, self.config_of(Path("none")))}) == 3

    def test_another_networks_weights_are_refused_in_one_line(self, file: Path, tmp_path: Path) -> None:
        whole = tmp_path / "whole.h5"
        keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 96, 3)).save(whole)
        broken = tmp_path / "broken.h5"
        broken.write_bytes(file.read_bytes()[:5000])
        network = build(model_of("mobilenet_v2"), IMAGES, seed=0)
        for path in (file, whole, broken):
            with pytest.raises(TrainingError, match="a file of mobilenet_v2's weights .* Received: ") as refused:
                load_weights(network, path)
            assert str(path) in str(refused.value)
            assert "\n" not in str(refused.value)
