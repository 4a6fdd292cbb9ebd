"""No secret is shown: not in an address, not in an error's words, not by a parser that met one."""

import os

import pytest

from xray.errors import ConfigError
from xray.redaction import redacted, require_database, without_password


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "://" in os.environ[name] or "PASSWORD" in name]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(("text", "shown"), [
    ("postgresql://me:secret@db:5432/mlflow", "postgresql://db:5432/mlflow"),
    ("at http://me:secret@host/x and https://you:other@host", "at http://host/x and https://host"),
    ("postgresql+psycopg2://me:p@ss@db/mlflow", "postgresql+psycopg2://db/mlflow"),
    ("http://me@host", "http://host"),
    ("sqlite:////home/me/mlruns/mlflow.db", "sqlite:////home/me/mlruns/mlflow.db"),
    ("models:/name@champion and mail me@host", "models:/name@champion and mail me@host"),
    ("http://127.0.0.1:5000/#/experiments", "http://127.0.0.1:5000/#/experiments"),
])  # fmt: skip
def test_an_address_is_shown_without_user_and_password(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_what_the_environment_holds_is_found_in_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:s%20cret-1@db/mlflow")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "xray:hunter-two")
    monkeypatch.setenv("SOME_TOKEN", "1")
    said = "FATAL 1: password 's cret-1' of me, s%20cret-1, or hunter-two"
    assert redacted(said) == "FATAL 1: password '***' of me, ***, or ***"


@pytest.mark.parametrize("address", ["postgresql://me:sec/ret@db:x/mlflow", "postgresql://me:secret@db:54x/mlflow"])
def test_an_address_that_cannot_be_taken_apart_is_not_repeated(address: str) -> None:
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI must be the address of a database, such as") as refused:
        require_database(address, "MLFLOW_TRACKING_URI")
    assert "sec" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match=r"needs its driver: pip install pymssql.*mssql\+pymssql://db/x"):
        require_database("mssql+pymssql://me:secret@db/x", "MLFLOW_TRACKING_URI")
    with pytest.raises(ConfigError, match="must name an existing driver. Received: postgresql.none://db/x"):
        require_database("postgresql+none://me:secret@db/x", "MLFLOW_TRACKING_URI")


@pytest.mark.parametrize(
    "address", ["", "sqlite:////x/y.db", "http://me:secret@host", "nonsense://store", "databricks"]
)
def test_what_is_no_database_or_a_good_one_passes(address: str) -> None:
    require_database(address, "MLFLOW_TRACKING_URI")


def test_a_servers_address_is_taken_apart() -> None:
    assert without_password("https://me:p%40ss@host:5000/path") == ("https://host:5000/path", "me", "p@ss")
    assert without_password("http://host:5000") == ("http://host:5000", "", "")
