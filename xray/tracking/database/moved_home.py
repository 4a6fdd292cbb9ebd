"""A home that was moved or copied: its database remembers absolute paths, which are brought below it again.

MLflow writes down where an experiment, a run and a model keep their files. Left as they are, the files of a moved home
are not found, and a new model is written to where the home was, or into the home that it is a copy of.
"""

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from mlflow.utils.file_utils import local_file_uri_to_path

from xray.errors import RegistryError

FOLDER = "/mlruns/artifacts"
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow keeps paths."""

BUSY_SECONDS = 20.0

logger = logging.getLogger(__name__)

_seen: set[tuple[Path, str]] = set()


def bring_home(database: Path, artifacts: str) -> None:
    """Have the paths in a home's own database lie below the home, wherever it is now.

    Paths of another home whose runs are kept in this one's database, by `MLFLOW_TRACKING_URI`, are left.

    Args:
        database: MLflow's database, a file.
        artifacts: Address of the home's artifacts now. Nothing is done where they do not lie beside the database.

    Raises:
        sqlite3.Error: It cannot be read.
        RegistryError: It cannot be changed where that is needed.
    """
    own = Path(local_file_uri_to_path(artifacts))
    if (database, artifacts) in _seen or database.absolute().parent.resolve() != own.parent:
        return
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection:
        locations = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for old in _roots(location for (location,) in locations):
            if old != artifacts and not _is_anothers(old):
                try:
                    _rewrite(connection, old, artifacts)
                except sqlite3.OperationalError as error:
                    raise RegistryError(
                        f"{database} must be writable once, because this home was moved or copied here from "
                        f"{_home_of(old)} and its paths must be updated. Received: {error}"
                    ) from None
                logger.warning("This home was moved or copied here from %s; its paths were updated", _home_of(old))
    _seen.add((database, artifacts))


def _roots(locations: Iterable[str | None]) -> set[str]:
    parts = [(location or "").rpartition(f"{FOLDER}/") for location in locations]
    return {f"{before}{FOLDER}" for before, found, _ in parts if found and before.startswith("file://")}


def _is_anothers(root: str) -> bool:
    """Tell artifacts of another home in use from those of the place that this one came from.

    Where a home was moved from nothing is left, and what a copy was made of has a database of its own.
    """
    folder = Path(local_file_uri_to_path(root))
    return folder.is_dir() and not (folder.parent / "mlflow.db").is_file()


def _rewrite(connection: sqlite3.Connection, old: str, new: str) -> None:
    with connection:  # all or nothing
        for table, column in COLUMNS:
            words = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
            connection.execute(words, (new, len(old) + 1, len(old) + 1, f"{old}/"))


def _home_of(root: str) -> str:
    return local_file_uri_to_path(root).removesuffix(FOLDER)
