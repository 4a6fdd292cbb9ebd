"""The process that opened something, so that others can tell whether it still lives."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from xray.processes import is_alive

HOST, PID, BORN = "xray.host", "xray.pid", "xray.born"
"""Tags of a run and of a logged model."""


@dataclass(frozen=True)
class Owner:
    """The process that opened something.

    Attributes:
        host: Name of its machine.
        pid: Its number there.
        born: When it started, Unix seconds; a number is given again, this with it is not.
    """

    host: str
    pid: int
    born: float

    @classmethod
    def this(cls) -> "Owner":
        """Describe this process."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Owner | None":
        """Read it from tags; None where they name none."""
        try:
            return cls(tags[HOST], int(tags[PID]), float(tags[BORN]))
        except (KeyError, ValueError):
            return None

    def tags(self) -> dict[str, str]:
        """Write it as tags."""
        return {HOST: self.host, PID: str(self.pid), BORN: str(self.born)}

    def is_alive(self) -> bool | None:
        """Say whether it is still there; None of another machine, whose processes cannot be seen from here."""
        if self.host != socket.gethostname():
            return None
        return is_alive(self.pid, self.born)
