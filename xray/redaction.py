"""Secrets are removed here from addresses and texts before anything is shown, logged or stored."""

import os
import re
from urllib.parse import quote, unquote, urlsplit

from xray.errors import ConfigError

DATABASES = ("postgresql", "mysql", "mssql", "sqlite")
DRIVERS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""What is installed under another name than it is imported by."""

_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"<>]*@")
_SECRET = re.compile(r"PASSWORD|AUTH_STRING|TOKEN|SECRET")
_ADDRESS = re.compile(r"://(?P<user>[^\s]*)@")
LEAST_CHARACTERS = 6
"""A shorter secret would be found in words that have nothing to do with it."""


def redacted(text: str) -> str:
    """Take out of a text the user and password of each address, and every secret that the environment holds.

    Args:
        text: Words for a person, or for a log.
    """
    text = _USER.sub(r"\g<scheme>", text)
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def require_address(address: str, name: str) -> None:
    """Refuse the address of a database that cannot be taken apart; addresses of anything else pass.

    Args:
        address: As SQLAlchemy takes it.
        name: What the user set it with.

    Raises:
        ConfigError: It is none. It is not repeated, nor are its parser's words, for both may hold a password.
    """
    if not _is_database(address):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(address)
    except (ArgumentError, ValueError):
        example = "postgresql://user:password@host:5432/name, with special characters of the password written as %XX"
        raise ConfigError(f"{name} must be the address of a database, such as {example}") from None


def require_database(address: str, name: str) -> None:
    """Refuse the address of a database that is none, or whose driver is not there; addresses of anything else pass.

    Args:
        address: As SQLAlchemy takes it.
        name: What the user set it with.

    Raises:
        ConfigError: It cannot be used.
    """
    require_address(address, name)
    if not _is_database(address):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(address).get_dialect().import_dbapi()
    except ArgumentError:
        raise ConfigError(f"{name} must name an existing driver. Received: {redacted(address)}") from None
    except ImportError as error:
        needed, shown = DRIVERS.get(str(error.name), str(error.name)), redacted(address)
        raise ConfigError(f"{name} needs its driver: pip install {needed}. Received: {shown} ({error})") from None


def _is_database(address: str) -> bool:
    return re.split(r"[+:]", address, maxsplit=1)[0] in DATABASES


def without_password(address: str) -> tuple[str, str, str]:
    """Take a server's address apart.

    Args:
        address: `http://USER:PASSWORD@HOST/PATH`, or one without user.

    Returns:
        The address without both, the user and the password; empty where there is none.
    """
    parts = urlsplit(address)
    credentials, _, host = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    return parts._replace(netloc=host).geturl(), unquote(user), unquote(password)


def _secrets() -> set[str]:
    found = set()
    for name, value in os.environ.items():
        if _SECRET.search(name):
            found |= {value, value.partition(":")[2]}
        for match in _ADDRESS.finditer(value):
            password = match["user"].partition(":")[2]
            found |= {password, unquote(password), quote(unquote(password), safe="")}
    return {secret for secret in found if len(secret) >= LEAST_CHARACTERS}
