"""Import the heavy libraries late and without their start-up noise."""

import importlib
import importlib.util
import sys
from types import ModuleType

from xray.errors import XrayError
from xray.libraries import quiet_import


def load(name: str) -> ModuleType:
    """Import a module of ours that brings TensorFlow, MLflow or matplotlib along, without the noise.

    Args:
        name: A dotted name, such as `xray.training.fit`.
    """
    if name in sys.modules:
        return sys.modules[name]
    with quiet_import():
        return importlib.import_module(name)


def require_dask() -> None:
    """Refuse a cluster where the library for it is not installed. Nothing is imported.

    Raises:
        XrayError: `prefect-dask` is missing.
    """
    if importlib.util.find_spec("prefect_dask") is None:
        raise XrayError(
            "--dask needs the extra dask: pip install -e '.[dask]'. Received: prefect-dask is not installed"
        )
