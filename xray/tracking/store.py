"""Where MLflow keeps runs and models, and the one way to reach it."""

import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import mlflow
import requests
import sqlalchemy.exc
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from xray.config import Workspace
from xray.errors import RegistryError, RegistryUnavailable
from xray.redaction import redacted, require_address, require_database, without_password
from xray.tracking.database.local_artifacts import find_below
from xray.tracking.database.mlflow_database import AFTERWARDS, is_whole, require_whole
from xray.tracking.database.moved_home import bring_home
from xray.tracking.database.sqlite_file import damaged, file_of, is_damage
from xray.tracking.ui_views import set_up, tags_of

URI_VARIABLE = "MLFLOW_TRACKING_URI"
USER_VARIABLE, PASSWORD_VARIABLE = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
REGISTRY_VARIABLE = "MLFLOW_REGISTRY_URI"
PROGRESS_VARIABLE = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
NOISY_LOGGERS = (
    "mlflow.store.db.utils",
    "mlflow.store.artifact",
    "mlflow.system_metrics",
    "mlflow.tracking",
    "mlflow.models",
    "mlflow.pyfunc",
)
STORE_ERRORS = (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, requests.RequestException, OSError)
"""Whatever a store that is away, locked or full may raise through MLflow."""


@dataclass(frozen=True)
class Store:
    """A tracking store and registry.

    Attributes:
        uri: A database's or server's address.
        artifacts: Address under which new experiments keep artifacts; None leaves it to a server. It is absolute,
            and MLflow remembers it: `moved` corrects that where the folder was moved.
    """

    uri: str
    artifacts: str | None

    @property
    def shown(self) -> str:
        """The address without user and password."""
        return redacted(self.uri)

    @property
    def is_server(self) -> bool:
        """Whether a server answers there, rather than a database."""
        return urlsplit(self.uri).scheme in ("http", "https")

    @property
    def is_new(self) -> bool:
        """Whether it is a database file that the first use has to make, or to make anew."""
        file = file_of(self.uri)
        try:
            return file is not None and not is_whole(file)
        except (RegistryError, OSError):
            return False

    def client(self) -> MlflowClient:
        """Connect, creating a database that is not there yet.

        Raises:
            ConfigError: The database's driver is not there.
            RegistryError: The store cannot be reached, or its file cannot be used.
        """
        require_database(self.uri, URI_VARIABLE)
        with reached(self):
            self._prepare()
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make it MLflow's global store for a moment, for calls that know no other way.

        Raises:
            RegistryError: Its file cannot be made or used.
        """
        with reached(self):
            self._prepare()
        variables = {name: os.environ.get(name) for name in (URI_VARIABLE, REGISTRY_VARIABLE, PROGRESS_VARIABLE)}
        os.environ[PROGRESS_VARIABLE] = "false"  # bars for files that only move within one disk
        tracking = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(tracking)  # type: ignore[arg-type]  # None is how MLflow itself unsets it
            mlflow.set_registry_uri(variables[REGISTRY_VARIABLE])  # type: ignore[arg-type]
            for name, value in variables.items():
                os.environ.pop(name, None)
                os.environ.update({} if value is None else {name: value})

    def experiment(self, client: MlflowClient, name: str) -> str:
        """Find an experiment's id by its name, creating it where there is none.

        Raises:
            RegistryError: The experiment was deleted, or the store cannot be reached.
        """
        with reached(self):
            found = client.get_experiment_by_name(name)
            if found is None:
                location = None if self.artifacts is None else f"{self.artifacts}/{quote(name)}"
                try:
                    return str(client.create_experiment(name, location, tags_of(name)))
                except MlflowException:  # another process may have been first
                    found = client.get_experiment_by_name(name)
                    if found is None:
                        raise
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"experiment must not be deleted: restore it or set registry.experiment. Received: {name}"
            )
        with reached(self):
            set_up(client, found)
        return str(found.experiment_id)

    def _prepare(self) -> None:
        _quieten()
        file = file_of(self.uri)
        if file is not None:
            require_whole(file)
        if self.artifacts is not None:
            find_below(self.uri, self.artifacts)
        if file is not None and self.artifacts is not None:
            bring_home(file, self.artifacts)


def store_of(workspace: Workspace) -> Store:
    """Say where runs and models are kept: the one place that decides it.

    The environment's `MLFLOW_TRACKING_URI`, a server's or database's address, wins over `workspace.mlruns`. A password
    in a server's address is moved to the variable that MLflow has for it, for errors and links repeat addresses.

    Raises:
        ConfigError: `MLFLOW_TRACKING_URI` cannot be taken apart.
        RegistryError: No address can name the file.
    """
    artifacts = (workspace.mlruns.resolve() / "artifacts").as_uri()
    uri = os.environ.get(URI_VARIABLE)
    if uri:
        require_address(uri, URI_VARIABLE)
        uri = _password_moved(uri)
    if not uri:
        file = (workspace.mlruns.resolve() / "mlflow.db").as_posix()
        if "?" in file:
            raise RegistryError(
                f"the home's path must not contain a ?, which ends a database's address. Received: {file}"
            )
        return Store(f"sqlite:///{file}", artifacts)
    store = Store(uri, artifacts)
    return Store(uri, None) if store.is_server else store


def _password_moved(uri: str) -> str:
    if not uri.startswith(("http://", "https://")):
        return uri
    address, user, password = without_password(uri)
    if user:
        os.environ.update({URI_VARIABLE: address, USER_VARIABLE: user, PASSWORD_VARIABLE: password})
    return address


def ui_command(workspace: Workspace, port: int = 5000) -> list[str]:
    """Give the command line of MLflow's own UI on the store, bound to this machine alone and behind a password.

    Args:
        workspace: Where the store lies.
        port: 1 to 65535.

    Raises:
        RegistryError: The store is a server, which has a UI of its own.
    """
    store = store_of(workspace)
    if store.is_server:
        raise RegistryError(f"{URI_VARIABLE} names a server: open it in a browser. Received: {store.shown}")
    return [sys.executable, "-m", "xray.tracking.server.mlflow_server", str(workspace.home), str(port)]


@contextmanager
def reached(store: Store) -> Iterator[None]:
    """Turn whatever a store may raise into one line that names it.

    Raises:
        RegistryError: The store could not be reached, or refused.
    """
    try:
        yield
    except STORE_ERRORS as error:
        file = file_of(store.uri)
        if file is not None and is_damage(error):
            raise damaged(file, AFTERWARDS) from None
        raise RegistryUnavailable(
            f"tracking store {store.shown} must answer. Received: {redacted(first_line(error))}"
        ) from error


def first_line(error: Any) -> str:
    """Give the first line of an error's words that says something, or its kind where there is none.

    MLflow announces a list of failures, and a heading for each; what is wrong stands below.
    """
    lines = [line for line in str(error).strip().splitlines() if line.strip() and not line.startswith("#####")]
    if not lines:
        return type(error).__name__
    return lines[1] if lines[0].endswith(":") and len(lines) > 1 else lines[0]


def _quieten() -> None:
    # the first use of a database prints its migrations, and every log of a model its steps
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # through a server each run that ends would print a line among a command's own
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
