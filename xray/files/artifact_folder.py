"""Folders that appear whole or not at all, named by what they hold, and compared with what was written when read.

A folder's manifest lists the SHA-256 of its files. One that was made before manifests did so is proved in another way,
once, and its digests are then written down.
"""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray.errors import DamagedError, StoreError, by_cause
from xray.files.atomic import whole_folder
from xray.files.checked_io import read_json, read_parquet, reading, set_aside, write_json
from xray.files.digest import file_sha256

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
"""Written last: a folder without it is not finished."""

FILES = "files"
"""In a manifest: from a file's path in the folder to the SHA-256 of its bytes."""

Prove = Callable[[], Iterable[str] | None]
"""Raises a DamagedError where a folder whose manifest lists no digests does not hold what it should; else it names the
files whose digests shall be listed, or None for all."""

_compared: dict[Path, tuple[int, int, int, str]] = {}
"""The files that were compared in this process, as they were then: number, size, time of change, and digest."""

_proved: set[Path] = set()
"""The folders of an older version that were proved in this process."""


def write_folder(folder: Path, fill: Callable[[Path], Mapping[str, Any]], prove: Prove | None = None) -> bool:
    """Write a folder under another name and rename it, unless it is there already and is whole.

    Args:
        folder: Where it shall be. Its name stands for its content, so what is there already is the same.
        fill: Writes the files into the folder it is given, and returns the manifest.
        prove: Proves a folder of an older version; without it, it is taken for whole if all of it can be read.

    Returns:
        Whether the folder was written; False if a finished one was there. One that is damaged is set aside first.

    Raises:
        StoreError: It could not be written; nothing of it is left then.
    """
    if is_whole(folder, prove):
        return False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(folder) as draft:
            seal(draft, fill(draft))
            if not (folder / MANIFEST).is_file():
                shutil.rmtree(folder, ignore_errors=True)  # Never finished.
    except OSError as error:
        if (folder / MANIFEST).is_file():  # Another process was faster, with the same content.
            return False
        raise by_cause(
            StoreError, f"{folder.parent} must be writable and have free space. Received: {error}", error
        ) from error
    return True


def is_whole(folder: Path, prove: Prove | None = None, then: str = "it is created again") -> bool:
    """Say whether a finished folder is there; one that is damaged is set aside, and so is there no more.

    Args:
        folder: Which one.
        prove: See `write_folder`.
        then: What is done where it is damaged, in words.

    Raises:
        StoreError: The disk does not give it, or it could not be renamed.
    """
    if not (folder / MANIFEST).is_file():
        return False
    try:
        require_whole(folder, prove=prove)
    except DamagedError as damage:
        set_aside(folder, damage.reason_in(folder), then)
        return False
    return True


def require_whole(folder: Path, names: Iterable[str] | None = None, prove: Prove | None = None) -> None:
    """Compare files of a finished folder with the digests in its manifest, each file once a process.

    Args:
        folder: Which one.
        names: Paths of files in it; None compares all.
        prove: See `write_folder`.

    Raises:
        DamagedError: A file is missing, or is not the one that was written.
        StoreError: The disk does not give it.
    """
    listed = digests_of(folder)
    if not listed:
        if folder not in _proved:
            adopt(folder, (prove or partial(_require_readable, folder))())
            _proved.add(folder)
        return
    for name in listed if names is None else names:
        if name not in listed:
            raise DamagedError(folder / MANIFEST, f"no digest of {name}")
        _compare(folder / name, listed[name])


def kept_json(folder: Path, name: str, prove: Prove | None = None) -> dict[str, Any]:
    """Read a JSON object of a finished folder, compared with the manifest.

    Raises:
        DamagedError: It is missing, or is not the one that was written.
        StoreError: The disk does not give it.
    """
    require_whole(folder, [name], prove)
    return read_json(folder / name)


def kept_table(folder: Path, name: str, prove: Prove | None = None) -> "pd.DataFrame":
    """Read a Parquet file of a finished folder, compared with the manifest.

    Raises:
        DamagedError: It is missing, or is not the one that was written.
        StoreError: The disk does not give it.
    """
    require_whole(folder, [name], prove)
    return read_parquet(folder / name)


def seal(folder: Path, manifest: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, str]:
    """Write a folder's manifest, with the digests of its files.

    Args:
        folder: Its files are all there.
        manifest: What else it says.
        names: Paths of the files in it that the manifest is to list; None lists all.

    Returns:
        From those paths to the SHA-256 of each.

    Raises:
        OSError: It could not be written.
    """
    if names is None:
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    digests = {name: file_sha256(folder / name) for name in names if name != MANIFEST}
    write_json(folder / MANIFEST, {**manifest, FILES: digests})
    return digests


def digests_of(folder: Path) -> dict[str, str]:
    """Read what a folder's manifest says of its files: the SHA-256 of each by its path; nothing in an older one.

    Raises:
        DamagedError: The manifest is missing or is none.
        StoreError: The disk does not give it.
    """
    manifest = read_json(folder / MANIFEST)
    with reading(folder / MANIFEST):
        return {str(name): str(digest) for name, digest in manifest.get(FILES, {}).items()}


def adopt(folder: Path, names: Iterable[str] | None = None) -> None:
    """Write down the digests of a folder that was just proved; where it cannot be written, it is proved again later.

    Args:
        folder: Which one. Its manifest may be missing.
        names: See `seal`.
    """
    with suppress(OSError):
        seal(folder, read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}, names)


def require_readable(path: Path) -> None:
    """Take a file apart by its ending: JSON, Parquet, or a network, whose archive has checksums of its own.

    Raises:
        DamagedError: It is not what its ending says.
    """
    if path.suffix == ".json":
        with reading(path):
            json.loads(path.read_bytes())
    elif path.suffix == ".parquet":
        read_parquet(path)
    elif path.suffix == ".keras":
        with reading(path):
            _require_whole_archive(path)


def _require_whole_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error) or "its archive ends early") from error
    if broken is not None:
        raise ValueError(f"{broken} in it has another checksum")


def _require_readable(folder: Path) -> Iterable[str] | None:
    for path in sorted(folder.rglob("*")):
        require_readable(path)
    return None


def _compare(path: Path, digest: str) -> None:
    with reading(path):
        about = path.stat()
        seen = (about.st_ino, about.st_size, about.st_mtime_ns, digest)
        if _compared.get(path) == seen:
            return
        found = file_sha256(path)
        if found != digest:
            raise ValueError(f"SHA-256 {found[:16]}… in place of {digest[:16]}…, {about.st_size:,} bytes")
        _compared[path] = seen
