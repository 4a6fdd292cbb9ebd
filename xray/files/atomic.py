"""Files and folders that appear whole or not at all, and are still there after a power cut.

Each is written under another name beside its place, brought to the disk, and renamed. The other name says whose it is,
so that what a killed process left is told from what a living one writes.
"""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ABANDONED_SECONDS = 24 * 60 * 60
"""A draft of another machine, or of a version that did not say whose it is, is left once nothing of it has changed for
so long: no writer of ours pauses for more than minutes."""

_DRAFT = re.compile(r"\..+\.tmp-(?P<pid>\d+)-(?P<born>\d+)-(?P<place>[0-9a-f]{8})(\.\w+)?")
_BEFORE = re.compile(
    r"((evaluation-|inspection-|summary-)?[0-9a-f]{16}|drift-\d{8}T\d{6}Z-[0-9a-f]{8}|digests\.parquet|run\.json"
    r"|servers\.json)\.tmp-\d+"
)
"""What drafts were called before, of which nothing else in a folder bears the name."""

_swept: set[Path] = set()


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Have a file to write for as long as the block lasts, which then takes its place, on the disk for good.

    Args:
        target: Its place; what is there is replaced.

    Yields:
        Where to write, with the ending of `target`. Where nothing is written, nothing is replaced.

    Raises:
        OSError: It could not be written; what was there is there still.
    """
    draft = draft_of(target)
    try:
        yield draft
        if draft.exists():
            sync(draft)
            draft.replace(target)
            sync(target.parent)
    finally:
        _remove(draft)


@contextmanager
def whole_private_file(target: Path) -> Iterator[Path]:
    """Have a file to write that nobody but its owner could read at any time; else as `whole_file`."""
    with whole_file(target) as draft:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Have a folder to fill for as long as the block lasts, which then takes its place, on the disk for good.

    Args:
        target: Its place, where nothing must be.

    Yields:
        An empty folder.

    Raises:
        OSError: It could not be written; nothing of it is left.
    """
    draft = draft_of(target)
    _remove(draft)  # of this very process
    try:
        draft.mkdir()
        yield draft
        for path in [*draft.rglob("*"), draft]:
            sync(path)
        draft.rename(target)
        sync(target.parent)
    finally:
        _remove(draft)


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk.

    Raises:
        OSError: The disk did not take the file.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems do not know this for folders
            raise
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the drafts in a folder that nobody writes any more, once a process. Never raises."""
    if folder in _swept:
        return
    _swept.add(folder)
    for path in _listed(folder):
        if _is_abandoned(path):
            _remove(path)


def clear_drafts(folder: Path) -> None:
    """Remove every draft in a folder, for one who has it to itself. Never raises."""
    for path in _listed(folder):
        if _DRAFT.fullmatch(path.name):
            _remove(path)


def draft_of(target: Path) -> Path:
    """Name what is written before it takes its place; what nobody writes any more beside it is removed.

    Args:
        target: Its place.
    """
    sweep(target.parent)
    return target.with_name(f".{target.name}.tmp-{os.getpid()}-{_born(os.getpid())}-{_place()}{target.suffix}")


@cache
def _born(pid: int) -> int:
    """Milliseconds since 1970 at which this process started; asked by its number, for a fork is another."""
    import psutil

    return int(psutil.Process(pid).create_time() * 1000)


@cache
def _place() -> str:
    """Name where a process's number means something: this machine since its start, and this container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _is_abandoned(path: Path) -> bool:
    from xray.processes import is_alive

    named = _DRAFT.fullmatch(path.name)
    if named is None and not _BEFORE.fullmatch(path.name):
        return False
    if named is not None and named["place"] == _place():
        return not is_alive(int(named["pid"]), int(named["born"]) / 1000)
    try:
        changed = max(each.lstat().st_mtime for each in [path, *path.rglob("*")])
    except OSError:
        return False
    return time.time() - changed > ABANDONED_SECONDS


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
