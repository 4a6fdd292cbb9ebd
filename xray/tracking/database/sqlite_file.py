"""An SQLite file that appears whole or not at all: made under another name, then renamed.

The tables of MLflow's and Optuna's databases are made in many small steps. A process that dies between two of them, or
a disk that fills up, would leave a file that no later start can finish.
"""

import logging
import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import psutil
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError

from xray.errors import RegistryError
from xray.files.atomic import whole_file
from xray.files.lock import locked

CREATION_SECONDS = 120.0
"""Longest wait for another process that is making the same file: its tables took a busy machine 20 s."""

BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a file and reads with it: another file's would be played into a new one."""

logger = logging.getLogger(__name__)


def file_of(address: str) -> Path | None:
    """Give the file that a database's address names; None where it names none.

    Args:
        address: As SQLAlchemy has it, `sqlite:////folder/file.db`.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # a server's, or a word that MLflow knows
        return None
    plain = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if plain and "uri" not in url.query else None


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have the making of a file to oneself for as long as the block lasts.

    Raises:
        RegistryError: Another process has it for too long, or the folder cannot be written.
    """
    taken = RegistryError(
        f"{path} is being created by another command; repeat this one. Received: no end in {CREATION_SECONDS:g} s"
    )
    with ExitStack() as held:
        try:
            held.enter_context(locked(path.with_name(f".{path.name}.lock"), taken, CREATION_SECONDS))
        except OSError as error:
            raise RegistryError(f"{path.parent} must be writable. Received: {error.strerror or error}") from None
        yield


def make_whole(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a file that is not there, while it is `held`.

    Args:
        path: Where it shall be.
        fill: Copies a finished database into the connection that it is given.

    Raises:
        RegistryError: It could not be written; nothing of it is left then.
    """
    for name in BESIDE:
        if path.with_name(path.name + name).exists():
            set_aside(path, "without-its-database")
            break
    try:
        with whole_file(path) as draft, closing(sqlite3.connect(draft)) as database:
            database.execute("PRAGMA journal_mode = OFF")  # another file, which a kill would leave
            fill(database)
    except (OSError, sqlite3.Error) as error:
        raise RegistryError(f"{path} could not be made, and is not there. Received: {error}") from None


def copy(engine: Engine, target: sqlite3.Connection) -> None:
    """Copy the database of an engine, which is SQLite in memory, and end the engine."""
    made = engine.raw_connection()
    try:
        cast(sqlite3.Connection, made.driver_connection).backup(target)
    finally:
        made.close()
        engine.dispose()


def set_aside(path: Path, what: str) -> Path:
    """Rename a file and what SQLite keeps beside it, so that nothing of it is lost and its name is free.

    Args:
        path: The file; it may be gone already, with something left beside it.
        what: A word that says what it is.

    Returns:
        Its new place.
    """
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    target = path.with_name(f"{path.name}.{what}-{stamp}")
    for name in ("", *BESIDE):
        if path.with_name(path.name + name).exists():
            path.with_name(path.name + name).rename(target.with_name(target.name + name))
    return target


def is_damage(error: object) -> bool:
    """Say whether an error's words are SQLite's for a file that is no whole database."""
    return any(words in str(error) for words in ("file is not a database", "disk image is malformed"))


def damaged(path: Path, then: str) -> RegistryError:
    """Say of a file that is no whole database what can be done.

    Args:
        path: The file.
        then: What a command does once it is set aside, in words.
    """
    aside = shlex.join(["mv", str(path), f"{path}.damaged"])
    return RegistryError(
        f"{path} must be an undamaged database: restore a copy, or move it away, and {then}: {aside}. "
        f"Received: a damaged file"
    )


def others_with(path: Path) -> list[int]:
    """List the other processes of this machine, as far as they can be seen, that have a file open."""
    found = []
    for process in psutil.process_iter():
        try:
            opened = process.pid != os.getpid() and any(_same(each.path, path) for each in process.open_files())
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if opened:
            found.append(process.pid)
    return found


def _same(one: str, other: Path) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
