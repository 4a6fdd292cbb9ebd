"""The database that a study lies in: how it is reached, and how it is named without its password."""

import logging
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy.exc
from optuna.exceptions import ExperimentalWarning
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from xray.errors import ConfigError, RegistryError, RegistryUnavailable
from xray.tracking.database.sqlite_file import copy, damaged, file_of, held, is_damage, make_whole

PATIENCE_SECONDS = 60
"""How long a writer waits for another one of the same SQLite file."""


def shown(storage: SecretStr) -> str:
    """Write a database's address without user, password and options.

    Raises:
        ConfigError: It is none.
    """
    try:
        url = make_url(storage.get_secret_value())
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # The address is not repeated, nor is its parser's word, for both may hold a password.
        raise ConfigError("--storage must be a database's address, such as postgresql://host/name") from None
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError(
            "--storage must be a database that lasts: an SQLite address must name a file, sqlite:////folder/study.db"
        )
    port = f":{url.port}" if url.port else ""
    return f"{url.drivername}://{url.host or ''}{port}/{url.database or ''}"


def database_of(address: SecretStr) -> optuna.storages.RDBStorage:
    """Connect to a study's database, making its tables if it has none.

    Args:
        address: Its address, with its password.

    Raises:
        RegistryError: Its driver is not installed, or it is of another Optuna.
    """
    url = address.get_secret_value()
    waits = {"connect_args": {"timeout": PATIENCE_SECONDS}} if url.startswith("sqlite") else {}
    _require_whole(file_of(url))
    try:
        # Optuna takes the address for a template, whose braces it fills in.
        return optuna.storages.RDBStorage(url.replace("{", "{{").replace("}", "}}"), engine_kwargs=waits)
    except ImportError:  # not its cause, or it would be tried again
        known = shown(address)
        raise RegistryError(f"--storage needs its database's driver installed. Received: {known}") from None
    except RuntimeError as error:  # tables of an older or a newer Optuna: its words name the command
        raise RegistryError(f"{shown(address)} must be of the installed Optuna. Received: {error}") from None


def _require_whole(file: Path | None) -> None:
    if file is None or file.exists() or not file.parent.is_dir():
        return
    with held(file):
        if not file.exists():
            make_whole(file, _fill)


def _fill(target: sqlite3.Connection) -> None:
    storage = optuna.storages.RDBStorage("sqlite://")  # in memory
    storage.remove_session()
    copy(storage.engine, target)


@contextmanager
def answering(address: SecretStr) -> Iterator[None]:
    """Turn whatever a study's database may raise into one line that names it without its password.

    Raises:
        ConfigError: The address is none.
        RegistryError: The database could not be reached, or refused.
    """
    known = shown(address)
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        file = file_of(address.get_secret_value())
        if file is not None and is_damage(error.__cause__ or error):
            raise damaged(file, "the same xray tune repeats its trials") from None
        raise RegistryUnavailable(f"--storage must be a reachable database. Received: {known}") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Optuna's log and its remarks on what is experimental off the screen, and Alembic from taking the log over.

    Alembic, which makes the tables, sets up logging and silences every logger there is, unless the root has a handler.
    """
    optuna.logging.disable_default_handler()
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        root.removeHandler(handler)
