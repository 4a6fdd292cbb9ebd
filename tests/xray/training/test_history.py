"""Early stopping is read off the history: worked by hand."""

import json
from dataclasses import replace

import pytest

from xray.training.history import Epoch, History


def history(*val_losses: float) -> History:
    epochs = [
        Epoch(number, 1_700_000_000_000 + number, 1.5, 0.5, 0.75, val_loss, 0.7, 0.8)
        for number, val_loss in enumerate(val_losses, 1)
    ]
    return History(tuple(epochs), "float32")


@pytest.mark.parametrize(
    ("val_losses", "best"),
    [
        ((), 0),
        ((0.7,), 1),
        ((0.7, 0.5, 0.6), 2),
        ((0.7, 0.5, 0.5, 0.5), 2),  # the first of equals
        ((0.7, 0.8, 0.9), 1),
    ],
)
def test_the_best_epoch_has_the_lowest_validation_loss(val_losses: tuple[float, ...], best: int) -> None:
    assert history(*val_losses).best_epoch == best


@pytest.mark.parametrize(
    ("val_losses", "patience", "stops"),
    [
        ((0.7, 0.5, 0.6), 2, False),  # one epoch without a lower loss
        ((0.7, 0.5, 0.6, 0.55), 2, True),  # two: 0.55 is below 0.6 and not below 0.5
        ((0.7, 0.5, 0.6, 0.4), 2, False),  # a lower one in time
        ((0.7, 0.5, 0.5), 1, True),  # an equal loss is no lower one
        ((0.7, 0.6, 0.5), 1, False),
        ((), 1, False),
        ((0.1, *[0.9] * 50), 0, False),  # a patience of 0 never stops
    ],
)
def test_training_stops_early_after_patience_epochs_without_a_lower_loss(
    val_losses: tuple[float, ...], patience: int, stops: bool
) -> None:
    assert history(*val_losses).stopped_early(patience) is stops
    assert history(*val_losses).is_over(1_000, patience) is stops


def test_training_is_over_after_its_last_epoch() -> None:
    assert not history(0.7, 0.6).is_over(3, 5)
    assert history(0.7, 0.6, 0.5).is_over(3, 5)
    assert not history(0.7, 0.6, 0.5).stopped_early(5)


def test_another_epoch_makes_another_history() -> None:
    before = history(0.7)
    after = before.with_epoch(history(0.7, 0.5).epochs[1])
    assert after == history(0.7, 0.5)
    assert before == history(0.7)


def test_it_comes_back_from_json_whole() -> None:
    one = history(0.7, 1 / 3)
    assert History.from_dict(json.loads(json.dumps(one.to_json()))) == one


def test_json_has_what_the_other_rooms_read() -> None:
    assert history(0.7, 0.5, 0.6).to_json() == {
        "epochs": [
            {"epoch": number, "ended_ms": 1_700_000_000_000 + number, "seconds": 1.5, "loss": 0.5, "accuracy": 0.75}
            | {"val_loss": val_loss, "val_accuracy": 0.7, "val_auc": 0.8}
            for number, val_loss in [(1, 0.7), (2, 0.5), (3, 0.6)]
        ],
        "best_epoch": 2,
        "precision": "float32",
        "keep": "best",
    }


def test_where_the_last_epoch_is_kept_it_is_the_best_and_none_stops_early() -> None:
    last = replace(history(0.7, 0.5, 0.6), keep="last")
    assert last.best_epoch == 3
    assert last.with_epoch(history(0, 0, 0, 0.9).epochs[3]).best_epoch == 4
    assert not last.stopped_early(1)
    assert replace(history(), keep="last").best_epoch == 0
    assert History.from_dict(json.loads(json.dumps(last.to_json()))) == last


def test_a_history_from_before_there_was_a_choice_keeps_the_best() -> None:
    written = history(0.7, 0.5, 0.6).to_json()
    del written["keep"]
    assert History.from_dict(written).best_epoch == 2
