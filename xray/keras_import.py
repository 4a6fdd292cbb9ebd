"""Import TensorFlow and Keras late, with the settings that our networks are written for, and without start-up noise."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from xray.errors import XrayError

BACKEND = "KERAS_BACKEND"
TENSORFLOW = "tensorflow"


@contextmanager
def quiet_import() -> Iterator[None]:
    """Keep back what libraries write to standard error while they are imported in the block; show it if that fails.

    TensorFlow's C++ writes remarks on missing GPUs straight to the process's standard error, before any of its settings
    for logging holds. Keras gets our settings, whatever the user's own say: they are for other work.

    Raises:
        XrayError: This process has Keras already, on another backend.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            with own_keras():
                yield
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def own_keras() -> Iterator[None]:
    """Have Keras, where the block is the first to import it, read none of the user's settings.

    Its file `keras.json` may say another backend, order of axes or arithmetic; of variables, `KERAS_BACKEND` another
    backend and `KERAS_MAX_EPOCHS` fewer epochs. KERAS_HOME is put back: weights that were fetched lie there.

    Raises:
        XrayError: This process has Keras already, on another backend.
    """
    if "keras" in sys.modules:
        _require_tensorflow(sys.modules["keras"].config.backend())
        yield
        return
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    with tempfile.TemporaryDirectory(prefix="xray-keras-") as empty:
        os.environ |= {"KERAS_HOME": empty, BACKEND: TENSORFLOW}
        try:
            with _collector_paused():
                yield
        finally:
            del os.environ["KERAS_HOME"]
            os.environ |= {**hidden, BACKEND: TENSORFLOW}


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Import without Python's garbage collector, and never have it look at what was imported.

    TensorFlow and MLflow make over a million objects that stay. To walk them again and again took a third of the
    processor time of a start, and of its end.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _require_tensorflow(backend: str) -> None:
    if backend != TENSORFLOW:
        raise XrayError(
            f"Keras must run on TensorFlow in this process: set {BACKEND}={TENSORFLOW}. Received: {backend}"
        )
