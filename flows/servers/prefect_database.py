"""What is wrong with Prefect's database, told before its server starts, or from what the server said when it died."""

import importlib.util
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from xray.errors import XrayError

BUSY_SECONDS = 5.0
SQLITE = re.compile(r"sqlite(\+\w+)?:///(?P<path>[^?]+)")
DAMAGED = ("file is not a database", "database disk image is malformed", "malformed database schema", "disk I/O error")
UNKNOWN = re.compile(r"Can't locate revision identified by '(?P<revision>\w+)'")
UNWRITABLE = ("attempt to write a readonly database", "unable to open database file", "Permission denied")
FULL = ("database or disk is full", "No space left on device")


def require_usable(url: str) -> None:
    """Refuse a database file that is damaged or of a newer Prefect: its server would only die of it.

    Args:
        url: The server's database, as SQLAlchemy writes it; only SQLite's files are looked at.

    Raises:
        XrayError: It cannot be used. The line names the file and the way on.
    """
    path = _file(url)
    if path is None or not path.is_file():
        return
    try:
        with closing(
            sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, timeout=BUSY_SECONDS)
        ) as database:
            found = database.execute("select version_num from alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if any(word in str(error) for word in DAMAGED):
            raise XrayError(_line(path, f"it is damaged ({error})")) from error
        return  # locked, unreadable or still empty: the server says what it makes of that
    known = {file.stem for file in _migrations().glob("*.py")}
    if found and known and not any(f"_{found[0]}_" in f"_{name}_" for name in known):
        raise XrayError(_line(path, f"a newer Prefect wrote it (revision {found[0]})"))


def cause(said: str, url: str) -> str | None:
    """Find in a server's last words what is wrong with its database.

    Args:
        said: What it wrote before it died.
        url: Its database, as SQLAlchemy writes it.

    Returns:
        One line that names the database and the way on; None where the words are of something else.
    """
    path = _file(url)
    place = path if path is not None else f"the one at {urlsplit(url).hostname}"
    unknown = UNKNOWN.search(said)
    if unknown:
        return _line(place, f"a newer Prefect wrote it (revision {unknown['revision']})")
    for words, reason in ((DAMAGED, "it is damaged"), (UNWRITABLE, "it cannot be written"), (FULL, "the disk is full")):
        found = next((word for word in words if word in said), None)
        if found:
            return _line(place, f"{reason} ({found})", moved=words is DAMAGED)
    return None


def last_line(said: str) -> str:
    """Give the line of a server's last words that says most: the one that ends a traceback, or else the last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (errors or lines or ["no word"])[-1]


def _line(database: object, reason: str, moved: bool = True) -> str:
    way = "; move it away and a new one is created; only Prefect's list of past runs is lost" if moved else ""
    return (
        f"Prefect's database must be undamaged, writable and of no newer version{way}. Received: {database}: {reason}"
    )


def _file(url: str) -> Path | None:
    match = SQLITE.match(url)
    return Path(match["path"]) if match and ":memory:" not in url else None


def _migrations() -> Path:
    found = importlib.util.find_spec("prefect")  # importing it takes seconds
    folder = Path(found.origin).parent if found and found.origin else Path()
    return folder / "server" / "database" / "_migrations" / "versions" / "sqlite"
