"""The environment of a command's process: Prefect's state, log levels, and memory settings."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.servers.server_registry import CLIENT_PASSWORD, NO_ORIGIN, SERVER_PASSWORD, running, secrets_of
from xray.errors import XrayError
from xray.keras_import import quiet_import
from xray.password import made_password
from xray.redaction import redacted, require_database

TRAINING_MEMORY = {
    # glibc gives every large block back to the kernel and faults it in again a step later, page by page. Kept, and in
    # large pages, the same step of the article's net took 0.61 of the time: docs/decisions/0003-memory.md.
    "glibc.malloc.hugetlb": "1",
    "glibc.malloc.arena_max": "1",
    "glibc.malloc.mmap_max": "0",
    "glibc.malloc.trim_threshold": "68719476736",
    "glibc.malloc.top_pad": "268435456",
}
"""Settings of glibc's allocator, which reads them when a process starts and never again."""

DATABASES = (
    "MLFLOW_TRACKING_URI",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)
"""Variables in which a user may name a database; the first may name a server, too."""

MUTED = ("PREFECT_SERVER_LOGGING_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL")
"""What keeps Prefect's own lines off the screen of a command."""


def quiet_settings(home: Path) -> dict[str, str]:
    """Give the environment of a command; whatever the user has set already stays.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
    """
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Both would write into the user's own home.
        "KERAS_HOME": str(home / ".cache" / "keras"),
        "MPLCONFIGDIR": str(home / ".cache" / "matplotlib"),
        "DO_NOT_TRACK": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # Left alone, a call waits four minutes for a server that is away; our tasks are tried again besides.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "PREFECT_HOME": str(home / ".prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": NO_ORIGIN,
        # A server that has died is told of at once; one that lives is given time, for a busy machine took over 120 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        # Prefect keeps its own log lines; the command prints ours and, at the end, one line for an error.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "xray",
    }


def lasting_settings(home: Path) -> dict[str, str]:
    """Give the environment of servers and of a worker: a command's, but their logs show what Prefect says.

    What each run on a worker needs besides stands in prefect.yaml, so that a worker started by hand gives it too.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
    """
    shown = {name: value for name, value in quiet_settings(home).items() if name not in MUTED}
    return {
        **shown,
        # Kept in files, the turn of a training outlives a restart of the server; in memory it would be held for ever.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }


def memory_settings() -> dict[str, str]:
    """Give the environment of a process that trains: `TRAINING_MEMORY` as glibc reads it, nothing elsewhere."""
    if platform.libc_ver()[0] != "glibc":
        return {}
    return {"GLIBC_TUNABLES": ":".join(f"{name}={value}" for name, value in TRAINING_MEMORY.items())}


def settle(home: Path, trains: bool) -> None:
    """Set this process's environment, starting it again where that is the only way.

    Servers that `xray up` runs in this home are used, unless the user has named others.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
        trains: Whether a network will be trained, which gains from `TRAINING_MEMORY`.

    Raises:
        XrayError: The environment names a database that cannot be one.
    """
    for name in DATABASES:
        require_database(os.environ.get(name, ""), name)
    servers = running(home)
    for name, value in (quiet_settings(home) | (servers.variables() if servers else {})).items():
        os.environ.setdefault(name, value)
    if servers:
        for name, value in secrets_of(home, servers, os.environ).items():
            os.environ.setdefault(name, value)
    memory = memory_settings() if trains else {}
    if memory and not memory.keys() <= os.environ.keys():
        os.environ.update(memory)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@contextmanager
def served(home: Path, meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Have a Prefect server for as long as the block lasts: the one that the user named, or a temporary one.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.
        meanwhile: Imports what the block will need; called while the temporary server starts, which is the work of
            another process and takes as long.

    Raises:
        XrayError: It does not start, does not answer, or wants another password; or the home cannot be written.
    """
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import get_current_settings

    from flows.preflight import require_writable

    url = get_current_settings().api.url
    if url is None:
        require_writable(home)
        _start_server(home, meanwhile)
    else:
        _require_answer(url)
    try:
        yield
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        require_writable(home)  # a server whose disk is full says no more than 500
        raise XrayError(f"Prefect's server must answer; the same command continues. Received: {error}") from error


def _require_answer(url: str) -> None:
    import httpx
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()  # which needs no password
        if error is not None:
            raise XrayError(
                f"PREFECT_API_URL must name a server that answers. Received: {redacted(f'{url} ({error})')}"
            )
        try:
            client.hello()
        except httpx.HTTPStatusError as refusal:
            answer = f"{redacted(url)} answers {refusal.response.status_code}"
            raise XrayError(
                f"{CLIENT_PASSWORD} must be the password of the server of PREFECT_API_URL. Received: {answer}"
            ) from refusal


def _start_server(home: Path, meanwhile: Callable[[], None]) -> None:
    """Start the temporary server, behind the home's password, and import meanwhile."""
    from prefect.context import refresh_global_settings_context

    from flows.servers.temporary_server import TemporaryServer

    os.environ.setdefault(SERVER_PASSWORD, made_password(home))
    os.environ[CLIENT_PASSWORD] = os.environ[SERVER_PASSWORD]
    refresh_global_settings_context()  # Prefect has been imported, and reads the environment no more
    server = TemporaryServer()
    server.begin()
    with quiet_import():
        meanwhile()
    server.wait()
