"""MLflow's database is there whole or not at all; one that died young is known, and a real one is never touched."""

import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.store.db import utils
from sqlalchemy import event

from tests.xray.tracking.database.first_starts import plan, started
from xray.config import Workspace
from xray.errors import RegistryError
from xray.tracking.database.mlflow_database import State, require_whole, state_of
from xray.tracking.database.sqlite_file import make_whole
from xray.tracking.store import store_of

pytestmark = pytest.mark.long(20)

KILLS: list[tuple[str, float]] = [("statement", nth) for nth in (1, 60, 300)]
KILLS += [("os.rename", 1), ("sqlite3.connect", 2), ("seconds", 0.3), ("seconds", 0.9)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A home without a store."""
    return Workspace(home=tmp_path / "home")


@pytest.fixture
def database(workspace: Workspace) -> Path:
    """Where its database shall be."""
    workspace.mlruns.mkdir(parents=True)
    return workspace.mlruns / "mlflow.db"


def died_at(path: Path, statement: int) -> None:
    """Leave what MLflow itself leaves when it dies at a statement: it makes its tables in place."""
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    left = [statement]

    @event.listens_for(engine, "before_cursor_execute")
    def die(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        utils._initialize_tables(engine)
    engine.dispose()


def names(database: Path) -> list[str]:
    return sorted(path.name for path in database.parent.iterdir() if not path.name.startswith("."))


def makes_a_run(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    assert client.create_run(store.experiment(client, "after")).info.status == "RUNNING"


def test_a_first_start_that_is_killed_leaves_nothing_or_a_whole_database(tmp_path: Path) -> None:
    homes = [Workspace(home=tmp_path / str(number)) for number in range(len(KILLS))]
    codes = started([plan(home, *kill) for home, kill in zip(homes, KILLS, strict=True)])
    assert codes[:5] == [-9] * 5  # a fast machine may be done before the seconds are over
    for home in homes:
        assert state_of(home.mlruns / "mlflow.db") in (State.ABSENT, State.WHOLE)
    makes_a_run(homes[3])
    assert names(homes[3].mlruns / "mlflow.db") == ["mlflow.db"]


def test_first_starts_beside_each_other_end_with_one_database(workspace: Workspace) -> None:
    assert started([plan(workspace, beside=True) for _ in range(3)]) == [0, 0, 0]
    store = store_of(workspace)
    client = store.client()
    assert len(client.search_runs([store.experiment(client, "first")])) == 3
    assert names(workspace.mlruns / "mlflow.db") == ["mlflow.db"]


@pytest.mark.parametrize("statement", [3, 200])
def test_one_that_died_before_is_set_aside_and_made_anew(
    workspace: Workspace, database: Path, statement: int, caplog: pytest.LogCaptureFixture
) -> None:
    died_at(database, statement)
    assert state_of(database) is State.UNFINISHED
    with caplog.at_level(logging.WARNING, "xray"):
        makes_a_run(workspace)
    kept, made = names(database)[1], names(database)[0]
    assert made == "mlflow.db" and kept.startswith("mlflow.db.unfinished-")
    assert caplog.messages == [f"{database} was incomplete and had no runs; it is created again. The old one: {kept}"]


def test_a_journal_of_another_file_is_not_played_into_the_new_one(workspace: Workspace, database: Path) -> None:
    database.with_name("mlflow.db-journal").write_bytes(b"of another file")
    makes_a_run(workspace)
    assert "mlflow.db-journal" not in names(database)
    assert any(name.endswith("-journal") for name in names(database))


def test_one_that_somebody_is_still_making_is_waited_for(workspace: Workspace, database: Path, migrated: Path) -> None:
    database.touch()
    words = "import sys; file = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", words, str(database)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
    with pytest.MonkeyPatch.context() as hurried:
        hurried.setattr("xray.tracking.database.mlflow_database.CREATION_SECONDS", 0.5)
        with pytest.raises(RegistryError, match=rf"must be finished .*process {holder.pid} has it open"):
            require_whole(database)
    assert names(database) == ["mlflow.db"]
    shutil.copy(migrated, database)  # whoever made it is done
    require_whole(database)
    holder.communicate()
    assert names(database) == ["mlflow.db"]


def changed(database: Path, migrated: Path, *statements: str) -> None:
    shutil.copy(migrated, database)
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


ROW = "INSERT INTO registered_models (name, creation_time, workspace) VALUES ('kept', 0, 'default')"
OLDER = "UPDATE alembic_version SET version_num = '451aebb31d03'"


def test_a_locked_one_is_left_alone(database: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xray.tracking.database.mlflow_database.BUSY_SECONDS", 0.1)
    changed(database, migrated, OLDER)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        require_whole(database)
    assert names(database) == ["mlflow.db"]


def test_an_older_one_with_a_model_is_left_to_be_upgraded(database: Path, migrated: Path) -> None:
    changed(database, migrated, ROW, OLDER)
    with pytest.raises(
        RegistryError, match=rf"{database} comes from an older MLflow.*mlflow db upgrade sqlite:///{database}"
    ):
        require_whole(database)
    changed(database, migrated, ROW, OLDER, "DROP TABLE inputs")
    require_whole(database)  # MLflow upgrades it by itself
    assert names(database) == ["mlflow.db"]


def test_a_newer_one_is_refused_in_one_line(database: Path, migrated: Path) -> None:
    changed(database, migrated, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(RegistryError, match=rf"{database} must not be of a newer MLflow.*pip install --upgrade mlflow"):
        require_whole(database)
    assert names(database) == ["mlflow.db"]


def test_a_damaged_one_is_refused_in_one_line_and_the_command_in_it_helps(workspace: Workspace, database: Path) -> None:
    database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(RegistryError, match=rf"{database} must be an undamaged database.*mv {database} ") as error:
        store_of(workspace).client()
    command = str(error.value).partition("training it again: ")[2].partition(". Received")[0]
    subprocess.run(command, shell=True, check=True)  # as a person pastes it
    makes_a_run(workspace)


def test_a_full_disk_leaves_nothing(database: Path) -> None:
    def fill(target: sqlite3.Connection) -> None:
        target.execute("PRAGMA max_page_count = 10")
        target.execute("CREATE TABLE much AS SELECT zeroblob(1000000)")

    with pytest.raises(RegistryError, match=f"{database} could not be made, and is not there. Received: .*full"):
        make_whole(database, fill)
    assert names(database) == []
