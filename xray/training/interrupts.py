"""Ctrl-C while a network is trained: answered between two batches, where no library can swallow it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras


class AnswerInterrupts(keras.callbacks.Callback):
    """Raises KeyboardInterrupt after the batch in which Ctrl-C came.

    Attributes:
        pending: Whether one came that is not yet answered.
    """

    def __init__(self) -> None:
        """Begin with none pending."""
        super().__init__()
        self.pending = False

    def answer(self) -> None:
        """Raise the interrupt that came, if one did.

        Raises:
            KeyboardInterrupt: One is pending.
        """
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Answer after a training batch."""
        self.answer()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Answer after a validation batch."""
        self.answer()


@contextmanager
def interrupts_held() -> Iterator[AnswerInterrupts]:
    """Hold Ctrl-C back until the callback that is given answers it, or the block ends; a second one acts at once.

    Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a library's call back into Python it
    gets lost, and the training goes on to its end: h5py clears it while a file is created, and a weak reference's
    callback reports and drops it.

    Outside the main thread, and where SIGINT is ignored or answered by somebody else, nothing is changed.

    Raises:
        KeyboardInterrupt: At the end of the block, where one came and was not answered.
    """
    answers = AnswerInterrupts()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield answers
        return

    def hold(number: int, frame: FrameType | None) -> None:
        if answers.pending:
            signal.default_int_handler(number, frame)
        answers.pending = True

    signal.signal(signal.SIGINT, hold)
    try:
        yield answers
        answers.answer()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
