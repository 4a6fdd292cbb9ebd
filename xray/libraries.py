"""Import TensorFlow late, and without its start-up noise."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_import() -> Iterator[None]:
    """Keep back what libraries write to standard error while they are imported in the block; show it if that fails.

    TensorFlow's C++ writes remarks on missing GPUs straight to the process's standard error, before any of its settings
    for logging holds.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
