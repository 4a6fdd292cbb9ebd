"""Several networks averaged into one, in a folder that looks like a training's."""

import json
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.xray.conftest import TINY, Learned
from xray.config import Config, load_config
from xray.errors import StoreError, TrainingError
from xray.files.artifact_folder import MANIFEST
from xray.training.ensemble import ensemble, ensemble_digest
from xray.training.fit import Trained
from xray.training.history import Epoch, History
from xray.training.networks.architectures import build
from xray.training.training_digest import training_digest

CONFIG = load_config("quick", TINY)


def epoch(number: int, val_loss: float, seconds: float = 1.5, loss: float = 0.5) -> Epoch:
    return Epoch(number, 1_700_000_000_000 + number, seconds, loss, 0.75, val_loss, 0.7, 0.8)


def history(*val_losses: float) -> History:
    return History(tuple(epoch(number, val_loss) for number, val_loss in enumerate(val_losses, 1)), "float32")


def member(root: Path, name: str, network: keras.Model, *val_losses: float) -> Trained:
    """Lay down what a finished training leaves."""
    folder = root / name
    folder.mkdir(parents=True)
    network.save(folder / "model.keras")
    told = history(*(val_losses or (0.7,)))
    (folder / "history.json").write_text(json.dumps(told.to_json()))
    (folder / "manifest.json").write_text("{}")
    return Trained(folder, name, trained_epochs=1)


def quick(seed: int) -> keras.Model:
    return build(CONFIG.model, CONFIG.images, seed)


def of_three_classes(seed: int) -> keras.Model:
    inputs = keras.Input((32, 32, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    initial = keras.initializers.GlorotUniform(seed)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", kernel_initializer=initial)(flat))


@pytest.fixture
def scans() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 32, 32, 1), dtype=np.uint8)


@pytest.mark.parametrize(("build_one", "outputs"), [(quick, 1), (of_three_classes, 3)])
def test_its_output_is_the_mean_of_its_members_outputs(
    build_one: Callable[[int], keras.Model], outputs: int, tmp_path: Path, scans: np.ndarray
) -> None:
    networks = [build_one(seed) for seed in range(3)]
    each = np.stack([network.predict(scans, verbose=0) for network in networks]).astype(np.float64)
    members = [member(tmp_path, str(seed), network) for seed, network in enumerate(networks)]
    loaded = keras.saving.load_model(ensemble(members, CONFIG, tmp_path).model, safe_mode=True, compile=False)
    mean = loaded.predict(scans, verbose=0)
    assert (mean.shape, mean.dtype) == ((7, outputs), np.float32)
    assert np.ptp(each, axis=0).max() > 1e-3, "members that differ"
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=0, atol=1e-6)


def test_its_file_holds_all_weights_and_nothing_to_be_run(tmp_path: Path) -> None:
    networks = [quick(0), quick(1)]
    made = ensemble([member(tmp_path, name, one) for name, one in zip("ab", networks, strict=True)], CONFIG, tmp_path)
    loaded = keras.saving.load_model(made.model, safe_mode=True, compile=False)
    assert loaded.count_params() == sum(network.count_params() for network in networks)
    assert (loaded.input_shape, loaded.input.dtype) == ((None, 32, 32, 1), "uint8")
    with zipfile.ZipFile(made.model) as file:
        assert sorted(file.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        words = file.read("config.json").decode()
    assert "Lambda" not in words and '"module": "xray' not in words


def test_its_layers_are_its_members_and_their_mean(tmp_path: Path) -> None:
    made = ensemble([member(tmp_path, "a", quick(0)), member(tmp_path, "b", quick(1))], CONFIG, tmp_path)
    loaded = keras.saving.load_model(made.model, compile=False)
    assert [layer.name for layer in loaded.layers] == ["scan", "member_0", "member_1", "mean"]
    assert [isinstance(layer, keras.Model) for layer in loaded.layers] == [False, True, True, False]
    assert isinstance(loaded.layers[-1], keras.layers.Average)


def test_made_again_it_is_found(tmp_path: Path) -> None:
    members = [member(tmp_path, "a", quick(0)), member(tmp_path, "b", quick(1))]
    first = ensemble(members, CONFIG, tmp_path)
    written = first.model.stat().st_mtime_ns
    assert ensemble(members, CONFIG, tmp_path) == first
    assert first.model.stat().st_mtime_ns == written
    assert (first.digest, first.folder, first.trained_epochs) == (ensemble_digest("ab"), tmp_path / first.digest, 0)
    assert json.loads((first.folder / "manifest.json").read_text())["members"] == ["a", "b"]


def test_other_members_are_another_ensemble() -> None:
    assert len({ensemble_digest("ab"), ensemble_digest("abc"), ensemble_digest("ac")}) == 3


def test_one_that_was_cut_off_is_written_again_and_keeps_its_run(tmp_path: Path) -> None:
    members = [member(tmp_path, "a", quick(0)), member(tmp_path, "b", quick(1))]
    folder = tmp_path / ensemble_digest("ab")
    folder.mkdir()
    (folder / "run.json").write_text("a run")
    (folder / "model.keras").write_bytes(b"half a netw")
    made = ensemble(members, CONFIG, tmp_path)
    keras.saving.load_model(made.model, compile=False)
    assert (folder / "run.json").read_text() == "a run"
    whole = {"history.json", "lock", "manifest.json", "model.keras", "run.json"}
    assert {path.name for path in folder.iterdir()} == whole


def test_one_that_is_damaged_is_averaged_again_and_keeps_its_run_and_evaluations(tmp_path: Path) -> None:
    members = [member(tmp_path, "a", quick(0)), member(tmp_path, "b", quick(1))]
    made = ensemble(members, CONFIG, tmp_path)
    for name in ("run.json", "evaluation-0123"):
        (made.folder / name).touch()
    made.model.write_bytes(made.model.read_bytes()[:-1])
    again = ensemble(members, CONFIG, tmp_path)
    keras.saving.load_model(again.model, compile=False)
    assert {path.name for path in (made.folder / "lost.damaged").iterdir()} == {MANIFEST, "history.json", "model.keras"}
    assert {"run.json", "evaluation-0123"} <= {path.name for path in made.folder.iterdir()}


def test_a_full_disk_leaves_no_half_of_it(
    tmp_path: Path, disk_with_room_for: Callable[[int], AbstractContextManager[None]]
) -> None:
    members = [member(tmp_path, "a", quick(0)), member(tmp_path, "b", quick(1))]
    folder = tmp_path / ensemble_digest("ab")
    with (
        pytest.raises(StoreError, match=f"the folder {folder} must be writable and have free space"),
        disk_with_room_for(999),
    ):
        ensemble(members, CONFIG, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert ensemble(members, CONFIG, tmp_path).model.is_file()


def test_one_member_is_no_ensemble(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at least two members. Received: 1"):
        ensemble([member(tmp_path, "a", quick(0))], CONFIG, tmp_path)


def test_its_epochs_are_means_up_to_the_last_that_all_have() -> None:
    longer = History((epoch(1, 0.9, 2.0, 0.8), epoch(2, 0.5, 2.0, 0.4), epoch(3, 0.1, 2.0)), "float32")
    shorter = History((epoch(1, 0.7, 1.0, 0.6), epoch(2, 0.6, 1.0, 0.2)), "mixed_bfloat16")
    mean = History.mean([longer, shorter])
    assert [each.epoch for each in mean.epochs] == [1, 2]
    assert [each.val_loss for each in mean.epochs] == pytest.approx([0.8, 0.55])
    assert [each.loss for each in mean.epochs] == pytest.approx([0.7, 0.3])
    assert [each.seconds for each in mean.epochs] == [3.0, 3.0]
    assert [each.ended_ms for each in mean.epochs] == [1_700_000_000_001, 1_700_000_000_002]
    assert (mean.best_epoch, mean.precision) == (2, "float32, mixed_bfloat16")


@pytest.mark.parametrize(("second", "early"), [((0.7, 0.8, 0.9), True), ((0.9, 0.8, 0.7), False)])
def test_it_has_stopped_early_where_all_members_have(
    second: tuple[float, ...], early: bool, tmp_path: Path, prepared: Learned
) -> None:
    config = prepared.config.model_copy(
        update={"training": prepared.config.training.model_copy(update={"patience": 2})}
    )
    members = [member(tmp_path, "a", quick(0), 0.6, 0.8, 0.9), member(tmp_path, "b", quick(1), *second)]
    made = ensemble(members, config, tmp_path)
    told = json.loads((made.folder / "history.json").read_text())
    assert (told["stopped_early"], told["mean_of"]) == (early, ["a", "b"])
    assert made.history() == History.mean([each.history() for each in members])


def test_the_number_of_seeds_names_no_training_and_the_seed_does(prepared: Learned) -> None:
    def named(**changes: int) -> str:
        training = prepared.config.training.model_copy(update=changes)
        config: Config = prepared.config.model_copy(update={"training": training})
        return training_digest(prepared.catalog, config)

    assert named(seeds=3) == named(seeds=1)
    assert named(seed=1) != named(seed=0)
