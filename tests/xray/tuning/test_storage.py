"""A study's database is there whole or not at all; one that cannot be used is named in one line."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine

from xray.errors import RegistryError
from xray.tuning.storage import answering, database_of, quietly


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def names_of_studies(database: Path) -> list[str]:
    """Connect as a trial does, make a study, and list them."""
    address = SecretStr(f"sqlite:///{database}")
    with answering(address), quietly():
        storage = database_of(address)
        optuna.create_study(storage=storage, study_name="one", load_if_exists=True)
        found = optuna.get_all_study_names(storage)
        storage.remove_session()
        storage.engine.dispose()
    return found


def test_a_first_start_that_dies_while_it_makes_the_tables_leaves_nothing(database: Path) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for wanted in ("CREATE TABLE studies", "CREATE TABLE trials", "INSERT INTO alembic_version"):
        hook = lambda _c, _k, statement, *_: die() if wanted in statement else None  # noqa: E731, B023
        event.listen(Engine, "before_cursor_execute", hook)
        try:
            with pytest.raises(KeyboardInterrupt):
                names_of_studies(database)
        finally:
            event.remove(Engine, "before_cursor_execute", hook)
        assert not database.exists()
    assert names_of_studies(database) == ["one"]


def test_trials_that_start_together_have_one_database(database: Path) -> None:
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(names_of_studies(database))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["one"]] * 4
    assert [path.name for path in database.parent.iterdir() if not path.name.startswith(".")] == ["study.db"]


def test_a_damaged_one_is_named_with_the_command_that_helps(database: Path) -> None:
    database.write_bytes(os.urandom(4096))
    with pytest.raises(
        RegistryError, match=rf"{database} must be an undamaged database.*mv {database} {database}.damaged"
    ):
        names_of_studies(database)


def test_one_of_another_optuna_is_named(database: Path) -> None:
    names_of_studies(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    with pytest.raises(RegistryError, match=rf"{database} must be of the installed Optuna.*pip install -U optuna"):
        names_of_studies(database)
