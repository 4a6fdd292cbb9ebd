"""Fetch the public CoronaHack set from Kaggle, through kagglehub: the optional extra `download`."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xray.data.sources.coronahack import METADATA_NAME
from xray.errors import DataError, StoreError, XrayError, by_cause
from xray.files.atomic import whole_folder

DATASET = "praveengovi/coronahack-chest-xraydataset"
ANSWER_SECONDS = 15.0
"""How long Kaggle may take to connect, and again to answer, before it counts as out of reach."""


def download(folder: Path) -> int:
    """Fetch CoronaHack into a new folder, which appears whole or not at all.

    Args:
        folder: Where the set goes: must not exist yet, or be empty.

    Returns:
        The number of files fetched.

    Raises:
        XrayError: The extra is not installed, Kaggle cannot be reached, or it refuses.
        DataError: What came is no archive, or holds no CoronaHack metadata.
        StoreError: The folder is not empty, or cannot be written.
    """
    with _extra():
        import kagglehub  # noqa: F401
    folder = folder.resolve()
    _require_empty(folder)
    _require_network()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(folder) as partial:
            _fetch(partial)
            files = sum(path.is_file() for path in partial.rglob("*"))
    except OSError as error:
        raise by_cause(StoreError, f"{folder} must be writable. Received: {error}", error) from error
    return files


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise XrayError(
            f"download needs an optional extra: pip install -e '.[download]'. Received: no {error.name}"
        ) from error


def _require_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"folder must be new or empty. Received: the file {folder}")
    if folder.is_dir() and any(folder.iterdir()):
        raise StoreError(f"folder must be new or empty. Received: {folder}, which holds files")


def _require_network() -> None:
    # kagglehub's own first call has no time limit, so a silent network would hold it for ever.
    with _extra():
        import requests
        from kagglesdk.kaggle_env import get_endpoint, get_env

    try:
        requests.head(get_endpoint(get_env()), timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        raise XrayError(f"download needs a network that reaches Kaggle. Received: {_cause(error)}") from error


def _fetch(partial: Path) -> None:
    import kagglehub
    import requests

    try:
        kagglehub.dataset_download(DATASET, output_dir=str(partial))
    except requests.HTTPError as error:
        status = None if error.response is None else error.response.status_code
        account = "; set KAGGLE_API_TOKEN to your account's token" if status in {401, 403} else ""
        raise XrayError(f"Kaggle must serve {DATASET}{account}. Received: HTTP {status}") from error
    except requests.RequestException as error:
        raise XrayError(f"Kaggle must serve {DATASET} whole. Received: {_cause(error)}") from error
    except (ValueError, zipfile.BadZipFile, kagglehub.exceptions.DataCorruptionError) as error:
        raise DataError(f"{DATASET} must be a sound archive. Received: {_one_line(error)}") from error
    shutil.rmtree(partial / ".complete", ignore_errors=True)  # kagglehub's own marker
    if not (partial / METADATA_NAME).is_file():
        names = ", ".join(sorted(path.name for path in partial.iterdir())[:5]) or "nothing"
        raise DataError(f"{DATASET} must hold {METADATA_NAME}. Received: {names}")


def _cause(error: BaseException) -> str:
    """Name the innermost error: requests and urllib3 wrap it several times over."""
    inner: BaseException | None = error
    while inner is not None:
        error, inner = inner, inner.__context__
    return f"{type(error).__name__}: {_one_line(error)}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
