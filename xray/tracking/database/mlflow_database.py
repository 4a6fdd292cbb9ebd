"""MLflow's database, where it is a file: there whole or not at all, and told apart from one that never became whole."""

import shlex
import sqlite3
import time
from contextlib import closing
from enum import Enum
from pathlib import Path

import mlflow
from alembic.script import ScriptDirectory
from mlflow.store.db import utils

from xray.errors import RegistryError
from xray.tracking.database.sqlite_file import (
    CREATION_SECONDS,
    copy,
    damaged,
    held,
    logger,
    make_whole,
    others_with,
    set_aside,
)

LOOK_SECONDS = 0.2
BUSY_SECONDS = 5.0
AFTERWARDS = "the same xray run registers its network anew without training it again"
IN_USE = ("SQLITE_BUSY", "SQLITE_LOCKED")
OF_A_NEW_ONE = {"alembic_version": None, "workspaces": None, "experiments": "name = 'Default'"}
"""Tables that have rows in a database that was just made, and which rows; None for any."""

_seen: dict[Path, tuple[int, int]] = {}
"""Files that this process has found whole, by device and number: each is looked at once."""


class State(Enum):
    """What a database file is."""

    ABSENT = "absent"
    UNFINISHED = "unfinished"
    """It never had all its tables, and nothing was ever written into it."""
    WHOLE = "whole"
    """MLflow's to use, which upgrades an older one, and waits for one that is locked."""


def require_whole(path: Path) -> None:
    """Make MLflow's database where there is none, or only one that never became whole, which is set aside.

    Args:
        path: The file.

    Raises:
        OSError: Its folder cannot be made.
        RegistryError: It is damaged, of a newer MLflow, cannot be written, or is being made by another process.
    """
    if is_whole(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path):
        state = _settled(path)
        if state is State.UNFINISHED:
            aside = set_aside(path, "unfinished")
            logger.warning("%s was incomplete and had no runs; it is created again. The old one: %s", path, aside.name)
        if state is not State.WHOLE:
            make_whole(path, _fill)


def is_whole(path: Path) -> bool:
    """Say whether a database is there that MLflow can use.

    Raises:
        OSError: Its folder cannot be read.
        RegistryError: It is damaged, of a newer MLflow, or cannot be opened.
    """
    try:
        about = path.stat()
    except FileNotFoundError:
        return False
    if _seen.get(path) == (about.st_dev, about.st_ino):
        return True
    whole = state_of(path) is State.WHOLE
    if whole:
        _seen[path] = (about.st_dev, about.st_ino)
    return whole


def state_of(path: Path) -> State:
    """Look into a database file.

    Raises:
        RegistryError: It is damaged, of a newer or a much older MLflow, or cannot be opened.
    """
    if not path.exists():
        return State.ABSENT
    try:
        address = f"{path.absolute().as_uri()}?mode=rw"  # never made by looking at it
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as database:
            return _read(path, database)
    except sqlite3.OperationalError as error:
        if any(error.sqlite_errorname.startswith(name) for name in IN_USE):
            return State.WHOLE
        raise RegistryError(f"{path} must be a file that can be read and written. Received: {error}") from None
    except sqlite3.DatabaseError:
        raise damaged(path, AFTERWARDS) from None


def _read(path: Path, database: sqlite3.Connection) -> State:
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rows = database.execute("SELECT version_num FROM alembic_version").fetchall() if "alembic_version" in tables else []
    revision = rows[0][0] if rows else None
    known = ScriptDirectory.from_config(utils._get_alembic_config(""))
    if revision == known.get_current_head():
        return State.WHOLE
    if revision is not None and revision not in {each.revision for each in known.walk_revisions()}:
        raise RegistryError(
            f"{path} must not be of a newer MLflow than the installed one, {mlflow.__version__}: install the one that "
            f"wrote it, pip install --upgrade mlflow, or name another --home. Received: tables of revision {revision}"
        )
    if not _holds_something(database, tables):
        return State.UNFINISHED
    if revision is not None and utils.Base.metadata.tables.keys() <= tables:
        upgrade = shlex.join(["mlflow", "db", "upgrade", f"sqlite:///{path.absolute()}"])
        raise RegistryError(
            f"{path} comes from an older MLflow and must be upgraded: make a copy, then {upgrade}. "
            f"Received: tables of revision {revision}"
        )
    return State.WHOLE


def _holds_something(database: sqlite3.Connection, tables: set[str]) -> bool:
    """Say whether anything was ever written, beside what each new database has."""
    for table in tables - {name for name, rows in OF_A_NEW_ONE.items() if rows is None}:
        but = OF_A_NEW_ONE.get(table)
        where = f" WHERE NOT ({but})" if but else ""
        if database.execute(f'SELECT 1 FROM "{table}"{where} LIMIT 1').fetchone():
            return True
    return False


def _settled(path: Path) -> State:
    """Look into a file once nobody is busy with it: an MLflow that was started by hand makes its tables in place."""
    deadline = time.monotonic() + CREATION_SECONDS
    while True:
        state = state_of(path)
        others = others_with(path) if state is State.UNFINISHED else []
        if not others:
            # Read again: who had it open may have finished it between the two looks.
            return state_of(path) if state is State.UNFINISHED else state
        if time.monotonic() > deadline:
            raise RegistryError(
                f"{path} must be finished or released by the process that is creating it. Received: process "
                f"{others[0]} has it open, and no end in {CREATION_SECONDS:g} s"
            )
        time.sleep(LOOK_SECONDS)


def _fill(target: sqlite3.Connection) -> None:
    """Make all tables in memory, which takes a third of the time that a disk takes, and copy them."""
    engine = utils.create_sqlalchemy_engine("sqlite://")
    utils._initialize_tables(engine)
    copy(engine, target)
