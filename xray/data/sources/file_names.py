"""Find the file that a table's row means, also where the row names it with another ending, case or folder."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

IMAGE_ENDING = re.compile(r"\.(jpe?g|png|tiff?|bmp|gif|dcm|dicom|webp)$", re.IGNORECASE)


MOST_CANDIDATES = 50
"""Files of one name among which a row's folders are compared; more are several."""


@dataclass(frozen=True)
class Found:
    """Files found for names.

    Attributes:
        paths: A path a name; empty where there is none, or where several files may be meant.
        loosely: How many were found by another ending, case, folder or blanks.
        several: How many names may mean several files.
    """

    paths: list[str]
    loosely: int
    several: int


def find(names: Iterable[str], paths: Collection[str], folder: str = "") -> Found:
    """Find the file of each name.

    A file at that very path is taken. Else the same name anywhere, then one that differs in case or blanks, then one
    that differs in its ending as well; each only where one file alone is meant.

    Args:
        names: As a table has them, with or without a folder and an ending.
        paths: Files, as posix paths relative to the data folder.
        folder: Where names begin; the data folder itself where it is empty.
    """
    given = [name.strip().replace("\\", "/").removeprefix("./") for name in names]
    exact = [_exact(name, paths, folder) for name in given]
    free = set(paths) - set(exact)  # what a row names exactly, no other row may mean
    suffixes = _suffixes(free)
    ways = [_by(free, key) for key in (_base, _folded, _stem)]
    found: list[str] = []
    loosely = several = 0
    for name, there in zip(given, exact, strict=True):
        if there:
            found.append(there)
            continue
        path, doubtful = (suffixes[name], False) if suffixes.get(name) else _loosely(name, ways)
        loosely += path != "" and path.rpartition("/")[2] != name
        several += doubtful
        found.append(path)
    return Found(found, loosely, several)


def _exact(name: str, paths: Collection[str], folder: str) -> str:
    """Find the file at the very path, or at what is left of it without folders before that the data folder has not."""
    parts = name.split("/")
    for start in range(len(parts)):
        path = "/".join([*filter(None, [folder]), *parts[start:]])
        if name and path in paths and (start == 0 or start < len(parts) - 1):
            return path
    return ""


def _suffixes(paths: Iterable[str]) -> dict[str, str]:
    """Index paths by what each ends with, folder by folder; empty where several end so."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for start in range(1, len(parts)):
            ending = "/".join(parts[start:])
            found[ending] = "" if ending in found else path
    return found


def _loosely(name: str, ways: list[tuple[Callable[[str], str], dict[str, list[str]]]]) -> tuple[str, bool]:
    for key, files in ways:
        candidates = files.get(key(name), []) if name else []
        if len(candidates) > MOST_CANDIDATES:
            return "", True
        if len(candidates) > 1:
            # Of files with one name, the one below the folders that the row names too; the row may name more, or fewer.
            candidates = [path for path in candidates if _one_ends_as_the_other(_folded_path(path), _folded_path(name))]
            if len(candidates) != 1:
                return "", True
        if candidates:
            return candidates[0], False
    return "", False


def _one_ends_as_the_other(path: str, name: str) -> bool:
    return f"/{path}".endswith(f"/{name}") or f"/{name}".endswith(f"/{path}")


def _by(paths: Iterable[str], key: Callable[[str], str]) -> tuple[Callable[[str], str], dict[str, list[str]]]:
    files: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        files[key(path)].append(path)
    return key, files


def _base(path: str) -> str:
    return unicodedata.normalize("NFC", path.rpartition("/")[2])


def _folded(path: str) -> str:
    return re.sub(r"\s+", "", _base(path)).casefold()


def _stem(path: str) -> str:
    return IMAGE_ENDING.sub("", _folded(path))


def _folded_path(path: str) -> str:
    return IMAGE_ENDING.sub("", unicodedata.normalize("NFC", path).casefold())
