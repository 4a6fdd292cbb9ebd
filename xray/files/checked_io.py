"""Our own files read: what is damaged is one error that names the file, and is set aside where it can be made anew."""

import errno
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray.errors import DamagedError, StoreError, by_cause
from xray.files.atomic import whole_file

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

ASIDE = ".damaged"
"""Ending of what is set aside. Nothing reads it again: whoever has looked at it may remove it."""

_THE_FILES_OWN = {None, errno.ENOENT, errno.EISDIR, errno.ENOTDIR}
"""Pyarrow's and HDF5's words for bad content are OSErrors without a number; any other number is the disk's."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DamagedError: It is missing or is none.
        StoreError: The disk does not give it.
    """
    with reading(path):
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict):
            raise TypeError(f"JSON that is no object but {type(values).__name__}")
        return values


def write_json(path: Path, values: Any) -> None:
    """Write JSON-like values, whole or not at all.

    Raises:
        OSError: They could not be written.
    """
    with whole_file(path) as draft:
        draft.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")


def read_parquet(path: Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """Read a Parquet file into a table.

    Raises:
        DamagedError: It is missing or is none.
        StoreError: The disk does not give it.
    """
    import pandas as pd
    import pyarrow as pa

    with reading(path):
        try:
            table = pd.read_parquet(path, columns=columns)
        except (pa.ArrowException, MemoryError) as error:  # a damaged footer may ask for any number of bytes
            raise ValueError(str(error)) from error
        missing = set(columns or ()) - set(table.columns)
        if missing:
            raise ValueError(f"no column {', '.join(sorted(missing))}")
        return table


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read and take apart a file of our own in the block, so that whatever is wrong with it has one error.

    Raises:
        DamagedError: It is missing or is not what it should be.
        StoreError: The disk does not give it, which may pass.
    """
    try:
        yield
    except StoreError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        if isinstance(error, OSError) and error.errno not in _THE_FILES_OWN:
            raise by_cause(StoreError, f"{path} must be readable. Received: {error}", error) from error
        raise DamagedError(path, "it is missing" if isinstance(error, FileNotFoundError) else error) from error


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Write below a folder in the block, so that whatever the disk says has one error.

    Args:
        place: The folder, or words that name it.

    Raises:
        StoreError: The disk did not take it; `Unavailable` where that may pass.
    """
    try:
        yield
    except OSError as error:
        raise by_cause(StoreError, f"{place} must be writable and have free space. Received: {error}", error) from error


def set_aside(path: Path, reason: object, then: str) -> None:
    """Rename what is damaged to a name that says so, and say it; what was set aside there before goes.

    Args:
        path: A file or folder.
        reason: What is wrong with it.
        then: What is done about it, in words.

    Raises:
        StoreError: It could not be renamed.
    """
    aside = path.with_name(path.name + ASIDE)
    try:
        if aside.is_dir():
            shutil.rmtree(aside)
        with suppress(FileNotFoundError):  # missing, or another process was faster
            path.replace(aside)
    except OSError as error:
        words = f"{path.parent} must be writable: {path.name} is damaged. Received: {error}"
        raise by_cause(StoreError, words, error) from error
    log.warning("%s is damaged and was renamed to %s; %s: %s", path, aside.name, then, reason)
