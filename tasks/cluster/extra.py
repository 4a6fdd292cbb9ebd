"""Optional extras: whether they are installed. Nothing of theirs is imported, and no Prefect."""

import importlib.util

from xray.errors import XrayError


def require_dask() -> None:
    """Refuse a cluster where the library for it is not installed. Nothing is imported.

    Raises:
        XrayError: `prefect-dask` is missing.
    """
    if importlib.util.find_spec("prefect_dask") is None:
        raise XrayError(
            "--dask needs the extra dask: pip install -e '.[dask]'. Received: prefect-dask is not installed"
        )
