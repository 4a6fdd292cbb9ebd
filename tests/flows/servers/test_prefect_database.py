"""What is wrong with Prefect's database, in one line that names it, before the server is started."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows.servers.prefect_database import cause, last_line, require_usable
from xray.errors import XrayError

NEWEST = "a3b9c7d2e5f1"
"""A revision of the installed Prefect's; a file of a home that it made bears one such."""


def database(folder: Path, revision: str | None) -> Path:
    path = folder / "prefect.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table alembic_version (version_num varchar(32) not null)")
        if revision is not None:
            made.execute("insert into alembic_version values (?)", [revision])
        made.commit()
    return path


def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


@pytest.mark.parametrize("revision", [NEWEST, None])
def test_a_database_of_this_version_is_used_and_so_is_one_that_is_being_made(
    revision: str | None, tmp_path: Path
) -> None:
    require_usable(url(database(tmp_path, revision)))


def test_one_that_is_not_there_yet_or_no_file_is_not_looked_at(tmp_path: Path) -> None:
    require_usable(url(tmp_path / "prefect.db"))
    require_usable("postgresql+asyncpg://me:secret@db/prefect")
    require_usable("sqlite+aiosqlite:///file::memory:?cache=shared")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_left_to_the_server_which_makes_it(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").touch()
    require_usable(url(tmp_path / "prefect.db"))


def test_one_of_a_newer_version_is_named_with_the_way_on(tmp_path: Path) -> None:
    path = database(tmp_path, "ffffffffffff")
    with pytest.raises(
        XrayError, match="of no newer version; move it away and a new one is created; .* is lost"
    ) as refused:
        require_usable(url(path))
    assert str(refused.value).endswith(f"Received: {path}: a newer Prefect wrote it (revision ffffffffffff)")


@pytest.mark.parametrize("damage", ["all", "schema"])
def test_a_damaged_one_is_named_with_the_way_on(damage: str, tmp_path: Path) -> None:
    path = database(tmp_path, NEWEST)
    whole = path.read_bytes()
    path.write_bytes(os.urandom(5000) if damage == "all" else whole[:200] + os.urandom(4096) + whole[4296:])
    with pytest.raises(XrayError, match=f"move it away.*Received: {path}: it is damaged"):
        require_usable(url(path))


@pytest.mark.parametrize(("word", "reason"), [
    ("Can't locate revision identified by 'abc123'", "a newer Prefect wrote it (revision abc123)"),
    ("database disk image is malformed", "it is damaged (database disk image is malformed)"),
    ("attempt to write a readonly database", "it cannot be written (attempt to write a readonly database)"),
    ("database or disk is full", "the disk is full (database or disk is full)"),
])  # fmt: skip
def test_what_a_server_said_when_it_died_is_understood(word: str, reason: str) -> None:
    line = cause(
        f"Traceback:\nsome.Error: {word}\n\nApplication startup failed.\n", url(Path("/home/.prefect/prefect.db"))
    )
    assert line is not None
    assert line.endswith(f"Received: /home/.prefect/prefect.db: {reason}")
    assert "\n" not in line


def test_no_password_of_a_database_is_named() -> None:
    line = cause("database or disk is full", "postgresql+asyncpg://me:secret@db/prefect")
    assert line is not None
    assert "the one at db" in line
    assert "secret" not in line


def test_other_words_are_of_something_else() -> None:
    said = "Traceback (most recent call last):\n  File x\nImportError: no such thing\n\nApplication startup failed.\n"
    assert cause(said, url(Path("prefect.db"))) is None
    assert last_line(said) == "ImportError: no such thing"
    assert last_line("") == "no word"
