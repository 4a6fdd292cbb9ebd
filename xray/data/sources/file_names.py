"""Find the file that a table's row means, also where the row names it with another ending, case or folder."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

IMAGE_ENDING = re.compile(r"\.(jpe?g|png|tiff?|bmp|gif|dcm|dicom|webp)$", re.IGNORECASE)


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
    ways = [_by(paths, key) for key in (_base, _folded, _stem)]
    found: list[str] = []
    loosely = several = 0
    for name in names:
        given = name.strip().replace("\\", "/").removeprefix("./")
        exact = f"{folder}/{given}" if folder else given
        if exact in paths:
            found.append(exact)
            continue
        path, doubtful = _loosely(given, ways)
        loosely += path != "" and path.rpartition("/")[2] != given
        several += doubtful
        found.append(path)
    return Found(found, loosely, several)


def _loosely(name: str, ways: list[tuple[Callable[[str], str], dict[str, list[str]]]]) -> tuple[str, bool]:
    for key, files in ways:
        candidates = files.get(key(name), []) if name else []
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
