"""Nobody's name leaves: scans and patients of a private source are known by digests outside of the home.

A patient is named by a keyed digest, so that a list of ids does not give the names back. The key lies in the home and
nowhere else; homes that share what is prepared of a private source need the same key: docs/your-own-scans.md.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd

from xray.config import Workspace
from xray.data.sources.words.scan_words import month_of
from xray.errors import DataError, StoreError, by_cause
from xray.files.atomic import whole_private_file
from xray.files.checked_io import read_parquet, writing
from xray.files.lock import locked
from xray.files.s3 import DataPath

KEY, NAMES = "patients.key", "names.parquet"
COLUMNS = ["name", "folder", "path"]
KEY_BYTES = 32
DIGITS = 16
"""Hexadecimal digits of a name: 64 bits."""


def hide(
    rows: pd.DataFrame, rejects: pd.DataFrame, workspace: Workspace, data: DataPath
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Name scans by their content and patients by a keyed digest; dates keep their month.

    Args:
        rows: One row a scan, with `image_id, path, patient_id, sha256`, and perhaps `date`. `path` stays.
        rejects: What was left out: its names go, its reasons stay.
        workspace: Holds the key, and the table that leads back.
        data: The folder that `path` is relative to.

    Raises:
        StoreError: They cannot be read or written.
    """
    key = patient_key(workspace)
    copy = rows.groupby("sha256").cumcount()
    names = rows["sha256"].str[:DIGITS] + ("-" + (copy + 1).astype("str")).where(copy > 0, "")
    hidden = rows.assign(image_id=names, patient_id=[_keyed(key, "patient", each) for each in rows["patient_id"]])
    if "date" in hidden:
        hidden["date"] = [month_of(date) for date in hidden["date"]]
    gone = [_keyed(key, "file", path) for path in rejects["path"]]
    remember(dict(zip([*names, *gone], [*rows["path"], *rejects["path"]], strict=True)), workspace, data)
    return hidden, rejects.assign(image_id=gone, path=gone, detail="")


def is_hidden(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows are named by their content, as those of a private source are."""
    return rows["image_id"].str[:DIGITS] == rows["sha256"].str[:DIGITS]


def patient_key(workspace: Workspace) -> bytes:
    """Read the home's key, made on first use and readable by its owner alone.

    Raises:
        StoreError: It cannot be read or written, or is none.
    """
    path = workspace.private / KEY
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            with locked(path.with_suffix(".lock"), waiting=lambda: None):
                if not path.exists():
                    with whole_private_file(path) as draft:
                        draft.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        if len(key) != KEY_BYTES:
            raise ValueError("of another length")
        return key
    except OSError as error:
        raise by_cause(StoreError, f"{path} must be readable. Received: {error.strerror}", error) from error
    except ValueError as error:
        raise StoreError(f"{path} must be a key of {2 * KEY_BYTES} hexadecimal digits. Received: other") from error


def remember(paths: Mapping[str, str], workspace: Workspace, data: DataPath) -> None:
    """Add to the table that leads from a digest back to a file.

    Args:
        paths: From a scan's name to its path in the data folder.
        workspace: Holds the table, 0600.
        data: The data folder.
    """
    path = workspace.private / NAMES
    with writing(path), locked(path.with_suffix(".lock"), waiting=lambda: None):
        columns = {"name": list(paths), "folder": str(data), "path": list(paths.values())}
        table = pd.DataFrame(columns, columns=COLUMNS, dtype="str")
        known = read_parquet(path) if path.exists() else table.iloc[:0]
        both = pd.concat([known, table]).drop_duplicates(["name", "folder"], keep="last")
        both = both.sort_values(["name", "folder"], ignore_index=True)
        if not both.equals(known):
            with whole_private_file(path) as draft:
                both.to_parquet(draft, index=False)


def paths_of(names: pd.Series, workspace: Workspace, data: DataPath) -> pd.Series:
    """Give the files of scans, by the table that leads back; a name that it does not know stays.

    Args:
        names: As a catalog of a private source has them.
        workspace: Holds the table.
        data: The folder that the catalog was prepared from.
    """
    path = workspace.private / NAMES
    if not path.exists():
        return names
    table = read_parquet(path)
    table = table[table["folder"] == str(data)]
    return names.map(dict(zip(table["name"], table["path"], strict=True))).fillna(names).astype("str")


@contextmanager
def names_kept(rows: pd.DataFrame, data: DataPath) -> Iterator[None]:
    """Have an error that is raised in the block name no file of a private source: Prefect keeps a flow's errors.

    Args:
        rows: One row a scan, with `image_id, path, sha256`; those of a private source are `is_hidden`.
        data: The folder that paths are relative to.

    Raises:
        DataError: The block's own, with scans' names in the place of their files'.
    """
    try:
        yield
    except DataError as error:
        hidden = rows[is_hidden(rows)]
        if hidden.empty:
            raise
        message = str(error)
        for path, name in zip(hidden["path"], hidden["image_id"], strict=True):
            if path in message:
                message = message.replace(str(data / path), name).replace(path, name)
        raise type(error)(message) from error.__cause__


def _keyed(key: bytes, kind: str, word: str) -> str:
    if not word:
        return ""
    digest = hmac.new(key, f"{kind}:{word}".encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
    return f"{kind}-{digest[:DIGITS]}"
