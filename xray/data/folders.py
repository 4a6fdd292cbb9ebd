"""Folders that appear whole or not at all, named by what they hold."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xray.errors import StoreError

MANIFEST = "manifest.json"
"""Written last: a folder without it is not finished."""


def write_folder(folder: Path, fill: Callable[[Path], Mapping[str, Any]]) -> bool:
    """Write a folder under another name and rename it, unless it is there already.

    Args:
        folder: Where it shall be. Its name stands for its content, so what is there already is the same.
        fill: Writes the files into the folder it is given, and returns the manifest.

    Returns:
        Whether the folder was written; False if a finished one was there.

    Raises:
        StoreError: It could not be written; nothing of it is left then.
    """
    if (folder / MANIFEST).is_file():
        return False
    draft = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        manifest = fill(draft)
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
        if (folder / MANIFEST).is_file():  # Another process was faster, with the same content.
            shutil.rmtree(draft)
            return False
        shutil.rmtree(folder, ignore_errors=True)  # Never finished.
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if (folder / MANIFEST).is_file():
            return False
        raise StoreError(f"{folder.parent} must be writable. Received: {error}") from error
    return True
