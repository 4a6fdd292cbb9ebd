"""Which files lie in a data folder, each folder listed once, and which names lead out of it."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from xray.data.decoding.scan_files import ITS_OWN
from xray.errors import DataError, by_cause
from xray.files.s3 import DataPath, S3Path

# What a terminal or a reader would act on: control characters, ends of lines, marks that turn the writing around.
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LIKE_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")


@dataclass(frozen=True)
class Listing:
    """The files below some folders, as posix paths relative to the data folder.

    Attributes:
        paths: Files, links to some among them.
        leaving: Links that lead out of the data folder; not among `paths`.
        unreadable: From what is neither to why, in words: a pipe, a link to itself, a folder that cannot be listed.
    """

    paths: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)


def list_files(root: DataPath, folders: Iterable[str]) -> Listing:
    """List the files below some folders of a data folder.

    Args:
        root: The data folder.
        folders: Posix paths relative to `root`, empty for `root` itself; one that does not exist is left out. A folder
            may itself be a link to elsewhere: what it holds counts as inside. Links to folders below it are not
            followed; a server has none.

    Raises:
        DataError: One of `folders` cannot be listed, or the disk or network fails.
        S3Error: A folder at a server cannot be listed.
    """
    listing = Listing()
    for folder in folders:
        if isinstance(root, S3Path):
            place = root / folder if folder else root
            listing.paths.update(_below(folder, file.path) for file in place.files())
        elif (root / folder).is_dir():
            _list(root, folder, (root.resolve(), (root / folder).resolve()), listing)
    return listing


def with_linked_folders(root: DataPath, listing: Listing) -> Listing:
    """List what linked folders hold, too, in the data folder itself and one below: those of splits and classes.

    Args:
        root: The data folder.
        listing: As `list_files` gave it; a linked folder is among `leaving`.
    """
    if isinstance(root, S3Path):
        return listing
    linked = {path for path in listing.leaving if path.count("/") <= 1 and (root / path).is_dir()}
    inner = list_files(root, sorted(linked))
    return Listing(
        listing.paths | inner.paths, (listing.leaving - linked) | inner.leaving, listing.unreadable | inner.unreadable
    )


def stays_inside(name: str) -> bool:
    """Tell whether a name stays in its folder: relative, on any system, and without `..`."""
    parts = re.split(r"[/\\]", name)
    return parts[0] != "" and ".." not in parts and re.match(r"[A-Za-z]:", name) is None


def printable(name: str) -> str:
    r"""Give a name as text that any file and terminal can hold; `named` turns it back.

    Bytes that are no UTF-8, control characters and the like are shown as `\xff`, byte by byte. So is a backslash that
    would look like one of these.
    """
    return visible(_LIKE_ESCAPED.sub(r"\\x5c", name))


def visible(text: str) -> str:
    """Give a text, of names that are escaped already or of any others, as any terminal may print it, on one line."""
    return _UNSHOWN.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in _bytes(found[0])), text)


def named(text: str) -> str:
    """Give the name that `printable` made a text of."""
    return _ESCAPED.sub(lambda found: os.fsdecode(bytes.fromhex(found[0].replace("\\x", ""))), text)


def _bytes(character: str) -> bytes:
    try:
        return character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, which no name has
        return character.encode("utf-8", "surrogatepass")


def _list(root: Path, top: str, inside: tuple[Path, ...], listing: Listing) -> None:
    waiting = [top]  # a stack of our own: folders may lie deeper than calls may
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                waiting += [
                    _below(folder, entry.name) for entry in entries if _is_folder(entry, folder, inside, listing)
                ]
        except OSError as error:
            if folder == top or error.errno not in ITS_OWN:
                shown = printable(str(root / folder))
                raise by_cause(
                    DataError, f"{shown} must be a readable folder. Received: {error.strerror}", error
                ) from error
            listing.unreadable[folder] = f"the folder cannot be listed: {error.strerror}"


def _is_folder(entry: os.DirEntry[str], folder: str, inside: tuple[Path, ...], listing: Listing) -> bool:
    """Say whether an entry is a folder to go on with, and enter it in the listing where it is none."""
    path = _below(folder, entry.name)
    try:
        if entry.is_symlink() and not _leads_inside(entry.path, inside):
            listing.leaving.add(path)
        elif entry.is_dir(follow_symlinks=False):
            return True
        elif entry.is_file():
            listing.paths.add(path)
        elif not entry.is_dir():  # a link to a folder inside, which is listed there
            listing.unreadable[path] = "a scan must be a file. Received: " + (
                "a link to nothing" if entry.is_symlink() else "a pipe, a socket or a device"
            )
    except OSError as error:
        if error.errno not in ITS_OWN:
            raise
        listing.unreadable[path] = f"the file cannot be read: {error.strerror}"
    return False


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _leads_inside(link: str, inside: tuple[Path, ...]) -> bool:
    target = Path(os.path.realpath(link))
    return any(target.is_relative_to(folder) for folder in inside)
