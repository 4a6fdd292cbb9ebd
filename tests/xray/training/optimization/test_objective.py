"""What a training minimizes: step sizes, decay and smoothed targets as the configuration says."""

import keras
import numpy as np
import pytest

from tests.xray.conftest import TINY
from xray.config import load_config
from xray.training.optimization.adam import FusedAdam
from xray.training.optimization.objective import compiled


def network(*settings: str, steps: int = 10) -> keras.Model:
    return compiled(load_config("quick", [*TINY, "training.learning_rate=0.01", *settings]), steps)


def rates(trained: keras.Model, count: int) -> list[float]:
    schedule = trained.optimizer._learning_rate
    return [float(schedule(step)) for step in range(count)]


def test_a_constant_step_size_is_adams() -> None:
    optimizer = network().optimizer
    assert type(optimizer) is FusedAdam
    assert optimizer.weight_decay is None
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_a_cosine_rises_over_the_first_epoch_and_ends_at_nothing() -> None:
    found = rates(network("training.schedule=cosine", "training.epochs=5", steps=10), 51)
    assert found[0] == pytest.approx(0.001)
    assert np.diff(found[:11]).min() > 0
    assert found[10] == pytest.approx(0.01)
    assert np.diff(found[10:]).max() < 0
    assert found[30] == pytest.approx(0.005)
    assert found[50] == pytest.approx(0, abs=1e-6)


def test_a_single_epoch_has_nothing_to_warm_up_for() -> None:
    found = rates(network("training.schedule=cosine", "training.epochs=1", steps=10), 11)
    assert found[0] == pytest.approx(0.01)
    assert found[10] == pytest.approx(0, abs=1e-6)


def test_weights_decay_only_where_it_is_asked_for() -> None:
    optimizer = network("training.weight_decay=0.02").optimizer
    assert optimizer.weight_decay == pytest.approx(0.02)


@pytest.mark.parametrize(("scheme", "certain"), [("binary", [[1.0]]), ("cause", [[1.0, 0.0, 0.0]])])
def test_smoothing_makes_certainty_cost_something(scheme: str, certain: list[list[float]]) -> None:
    plain, smoothed = (
        network(f"labels.scheme={scheme}", f"training.label_smoothing={share}").loss for share in (0.0, 0.1)
    )
    answer = np.array(certain, np.float32)
    assert float(plain(answer, answer)) == pytest.approx(0, abs=1e-5)
    assert float(smoothed(answer, answer)) > 0.3
