"""What a command refuses before Prefect and TensorFlow start, in one line each."""

import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from xray.config import Config, Places, Request, load_config
from xray.errors import XrayError


def checked_request(data: Path, recipe: str, settings: Sequence[str], home: Path, trains: bool) -> Request:
    """Read a recipe and look at the metadata, so that what cannot succeed is known at once.

    Args:
        data: The folder of scans.
        recipe: A shipped recipe, or a `.toml` file.
        settings: `KEY=VALUE`, each.
        home: Holds data/ and mlruns/; made if it is not there.
        trains: Whether a network will be trained.

    Raises:
        XrayError: A recipe, setting, data folder or home that cannot be used, or scans that no seed could split.
    """
    config = load_config(recipe, settings)
    _require_scans(data, config, trains)
    _require_writable(home)
    return Request(data=data.resolve(), home=home.resolve(), config=config)


def require_store(home: Path) -> None:
    """Refuse a home that no run has used, rather than make an empty store there.

    Raises:
        XrayError: There is no mlruns/ in it, and no server is named either.
    """
    folder = Places(home=home.resolve()).mlruns
    if not folder.is_dir() and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise XrayError(f"--home must hold a run: start with xray demo or xray run. Received: no folder {folder}")


def require_free(port: int) -> None:
    """Refuse a port of this machine that something listens on.

    Raises:
        XrayError: It is taken, or not ours to take.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise XrayError(f"--port must be free. Received: {port} ({error.strerror})") from error


def read_file(path: Path) -> bytes:
    """Read a file that a user named.

    Raises:
        XrayError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise XrayError(f"each file must be readable. Received: {path} ({reason})") from error


def _require_scans(data: Path, config: Config, trains: bool) -> None:
    from xray.data.metadata import read_coronahack
    from xray.data.splits import require_splittable

    rows = read_coronahack(data).rows
    require_splittable(rows, config.split)
    scans = int((rows["official"] == "train").sum())
    if trains and scans < config.training.batch_size:
        raise XrayError(f"training needs at least one batch of {config.training.batch_size} scans. Received: {scans}")


def _require_writable(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise XrayError(f"--home must be a folder that can be written. Received: {home} ({error.strerror})") from error
