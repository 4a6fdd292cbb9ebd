"""Import the heavy libraries late and without their start-up noise."""

import importlib
import importlib.util
import os
import sys
import tempfile
from types import ModuleType

from xray.errors import XrayError


def load(name: str) -> ModuleType:
    """Import a module of ours that brings TensorFlow, MLflow or matplotlib along.

    TensorFlow's C++ writes remarks on missing GPUs straight to the process's standard error, before any of its settings
    for logging holds. They are kept back, and shown after all if the import fails.

    Args:
        name: A dotted name, such as `xray.training.fit`.
    """
    if name in sys.modules:
        return sys.modules[name]
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            return importlib.import_module(name)
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def require_dask() -> None:
    """Refuse a cluster where the library for it is not installed. Nothing is imported.

    Raises:
        XrayError: `prefect-dask` is missing.
    """
    if importlib.util.find_spec("prefect_dask") is None:
        raise XrayError(
            "--dask needs the extra dask: pip install -e '.[dask]'. Received: prefect-dask is not installed"
        )
