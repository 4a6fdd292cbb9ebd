"""Ctrl-C ends a training wherever it comes, though libraries lose it in some places."""

import signal
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.xray.conftest import TINY, Learned
from xray.config import load_config
from xray.training.fit import train
from xray.training.history import History
from xray.training.interrupts import AnswerInterrupts, interrupts_held


@pytest.fixture(autouse=True)
def pythons_own_answer() -> Iterator[None]:
    """Answer Ctrl-C as Python does: whoever is started in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Token:
    """Something that a weak reference can point to."""


def press_where_it_is_lost() -> None:
    """Press Ctrl-C inside a weak reference's callback, which reports what is raised in it and drops it."""
    token = Token()
    _reference = weakref.ref(token, lambda _: signal.raise_signal(signal.SIGINT))
    del token


@pytest.mark.parametrize("epoch", [1, 3], ids=["with-epochs-to-come", "after-the-last-batch"])
def test_a_training_ends_at_the_next_chance_and_keeps_its_epochs(prepared: Learned, tmp_path: Path, epoch: int) -> None:
    config = load_config("quick", [*TINY, "training.epochs=3", "training.patience=0"])

    def press(history: History) -> None:
        if len(history.epochs) == epoch:
            press_where_it_is_lost()

    with pytest.raises(KeyboardInterrupt):
        train(prepared.catalog, prepared.store, config, tmp_path / "abc", [press])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train(prepared.catalog, prepared.store, config, tmp_path / "abc").trained_epochs == 3 - epoch


@pytest.mark.parametrize("during", ["train", "test"])
def test_a_batch_is_ended_first(during: str) -> None:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    batches: list[int] = []

    def press(batch: int, logs: object = None) -> None:
        batches.append(batch)
        if batch == 1:
            signal.raise_signal(signal.SIGINT)

    pressing = keras.callbacks.Callback()
    setattr(pressing, f"on_{during}_batch_begin", press)
    scans = np.zeros((8, 1), dtype=np.float32)
    with pytest.raises(KeyboardInterrupt), interrupts_held() as answers:
        network.fit(
            scans,
            scans,
            batch_size=2,
            epochs=2,
            validation_data=(scans, scans),
            verbose=0,
            callbacks=[pressing, answers],
        )
    assert batches == [0, 1]


def test_a_second_one_acts_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        reached.append("past the first")
        signal.raise_signal(signal.SIGINT)
        reached.append("past the second")
    assert reached == ["past the first"]


def test_one_that_is_not_answered_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)


def test_an_error_is_not_hidden_by_one_that_waits() -> None:
    with pytest.raises(ValueError, match="of the block"), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("of the block")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL], ids=["ignored", "of-the-system"])
def test_a_handler_that_is_not_pythons_own_stays(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with interrupts_held():
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_no_handler() -> None:
    seen: list[AnswerInterrupts] = []

    def work() -> None:
        with interrupts_held() as answers:
            seen.append(answers)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [answers.pending for answers in seen] == [False]
