"""One pass over the weights ends where Keras's Adam and AdamW end."""

from pathlib import Path

import keras
import numpy as np
import pytest

from xray.training.optimization.adam import FusedAdam

pytestmark = pytest.mark.long(25)


def network(optimizer: keras.optimizers.Optimizer, precision: str = "float32", *, xla: bool = False) -> keras.Model:
    keras.utils.set_random_seed(0)
    policy = keras.DTypePolicy(precision)
    scan = keras.Input((12, 12, 1))
    x = keras.layers.Conv2D(8, 3, activation="relu", dtype=policy)(scan)
    x = keras.layers.BatchNormalization(dtype=policy)(x)
    x = keras.layers.Dense(16, activation="relu", dtype=policy)(keras.layers.Flatten()(x))
    built = keras.Model(scan, keras.layers.Dense(1, activation="sigmoid", dtype="float32")(x))
    built.compile(optimizer, "binary_crossentropy", jit_compile=xla)
    return built


def trained(built: keras.Model, steps: range = range(30)) -> keras.Model:
    for step in steps:
        draw = np.random.default_rng(step)
        target = draw.integers(0, 2, (16, 1)).astype(np.float32)
        built.train_on_batch(draw.normal(target[..., None, None], 1, (16, 12, 12, 1)).astype(np.float32), target)
    return built


def kept(built: keras.Model) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in [*built.variables, *built.optimizer.variables]]


@pytest.mark.parametrize("decay", [None, 0.01])
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_weights_and_moments_are_those_of_keras(decay: float | None, xla: bool) -> None:
    rate = keras.optimizers.schedules.CosineDecay(0.01, 30)
    plain = keras.optimizers.AdamW(rate, decay) if decay else keras.optimizers.Adam(rate)
    ours, theirs = (trained(network(each, xla=xla)) for each in (FusedAdam(rate, weight_decay=decay), plain))
    for found, expected in zip(kept(ours), kept(theirs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-5)


def test_weights_stay_float32_where_the_arithmetic_is_bfloat16() -> None:
    ours = trained(network(FusedAdam(0.01), "mixed_bfloat16"))
    theirs = trained(network(keras.optimizers.Adam(0.01), "mixed_bfloat16"))
    assert {variable.dtype for variable in ours.trainable_variables} == {"float32"}
    for found, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_saved_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    # A few steps: Adam makes of a gradient near 0, whose last bits depend on how threads add up, a step of full size.
    unbroken = trained(network(FusedAdam(0.01, weight_decay=0.01)), range(6))
    trained(network(FusedAdam(0.01, weight_decay=0.01)), range(3)).save(tmp_path / "state.keras")
    taken_up = keras.models.load_model(tmp_path / "state.keras")
    assert type(taken_up.optimizer) is FusedAdam
    trained(taken_up, range(3, 6))
    for found, expected in zip(kept(taken_up), kept(unbroken), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
