"""Prefect's server for the time of one command: behind the home's password, and gone when the command is."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

import httpx
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

from flows.servers.parent_process import import_path
from flows.servers.prefect_database import cause, last_line, require_usable
from xray.errors import XrayError
from xray.redaction import redacted

OURS = {
    # What Prefect itself sets for its temporary server.
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # Kept back, and read where it dies.
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
}


class TemporaryServer(SubprocessASGIServer):
    """The server that Prefect's clients find and use where no other is named: there is one in a process.

    Prefect's own waits two minutes for one that has died, and leaves one behind that lost its command.
    """

    def begin(self) -> None:
        """Start it and do not wait: importing what it needs takes seconds.

        Raises:
            XrayError: Its database cannot be used.
        """
        if self.running:
            return
        require_usable(_database())
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 as long as the server lives
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
            self.server_process = _out_of_a_terminals_reach(listener.fileno(), self._words)
        self.running = True
        atexit.register(self.stop)

    def start(self, timeout: int | None = None) -> None:
        """Start it where it is not started, and wait until it answers.

        Args:
            timeout: The longest to wait, in seconds; Prefect's setting unless given.

        Raises:
            XrayError: It died, or does not answer.
        """
        if not self.running:
            self.begin()
            self.wait(timeout)

    def wait(self, timeout: int | None = None) -> None:
        """Wait until it answers.

        Args:
            timeout: The longest, in seconds; Prefect's setting unless given.

        Raises:
            XrayError: It died, or does not answer.
        """
        seconds = timeout or get_current_settings().server.ephemeral.startup_timeout_seconds
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self.server_process is None or self.server_process.poll() is not None:
                self._words.seek(0)
                said = self._words.read().decode("utf-8", "replace")
                raise XrayError(
                    cause(said, _database()) or f"Prefect's server must start. Received: {redacted(last_line(said))}"
                )
            if time.monotonic() > deadline:
                raise XrayError(f"Prefect's server must start. Received: no answer in {seconds} s")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", timeout=1).is_success
        except httpx.TransportError:
            return False


def _out_of_a_terminals_reach(listener: int, words: Any) -> "subprocess.Popen[bytes]":
    """Start the server with SIGINT and SIGHUP blocked: a terminal sends them to every process of a command.

    The command stops its server itself, once it has told it how the run ended. A process inherits the signals that the
    thread which starts it has blocked.
    """
    command = [sys.executable, "-P", "-m", "flows.servers.prefect_server", str(listener), str(os.getpid())]
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    environment = {**os.environ, **settings, **OURS, "PYTHONPATH": import_path()}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        return subprocess.Popen(
            command, env=environment, pass_fds=[listener], stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _database() -> str:
    url = get_current_settings().server.database.connection_url
    return "" if url is None else url.get_secret_value()
