"""Which files lie in a data folder, each folder listed once, and which names lead out of it."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from xray.errors import DataError
from xray.s3 import DataPath, S3Path


@dataclass(frozen=True)
class Listing:
    """The files below some folders.

    Attributes:
        paths: Files, as posix paths relative to the data folder. No pipe, socket or broken link is among them.
        leaving: Links that lead out of the data folder, likewise; not among `paths`.
    """

    paths: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)


def list_files(root: DataPath, folders: Iterable[str]) -> Listing:
    """List the files below some folders of a data folder.

    Args:
        root: The data folder.
        folders: Posix paths relative to `root`; one that does not exist is left out. A folder may itself be a link
            to elsewhere: what it holds counts as inside. Links to folders below it are not followed; a server has none.

    Raises:
        DataError: A folder cannot be listed.
        S3Error: A folder at a server cannot be listed.
    """
    listing = Listing()
    for folder in folders:
        if isinstance(root, S3Path):
            listing.paths.update(f"{folder}/{file.path}" for file in (root / folder).files())
        elif (root / folder).is_dir():
            _list(root, folder, (root.resolve(), (root / folder).resolve()), listing)
    return listing


def stays_inside(name: str) -> bool:
    """Tell whether a name stays in its folder: relative, on any system, and without `..`."""
    parts = re.split(r"[/\\]", name)
    return parts[0] != "" and ".." not in parts and re.match(r"[A-Za-z]:", name) is None


def printable(name: str) -> str:
    r"""Give a listed name as text that any file can hold; bytes that are no UTF-8 are shown as `\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _list(root: Path, folder: str, inside: tuple[Path, ...], listing: Listing) -> None:
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.is_symlink() and not _leads_inside(entry.path, inside):
                    listing.leaving.add(path)
                elif entry.is_dir(follow_symlinks=False):
                    _list(root, path, inside, listing)
                elif entry.is_file():
                    listing.paths.add(path)
    except OSError as error:
        raise DataError(f"{root / folder} must be a readable folder. Received: {error.strerror}") from error


def _leads_inside(link: str, inside: tuple[Path, ...]) -> bool:
    target = Path(os.path.realpath(link))
    return any(target.is_relative_to(folder) for folder in inside)
