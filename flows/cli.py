"""The `xray` command: every command joined, and every mistake answered in one line."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from typer.exceptions import TyperException

from flows.commands.app import app
from xray.data.sources.file_listing import visible
from xray.errors import XrayError
from xray.redaction import redacted

# Imported for what they add to the app, in the order of the help page.
# isort: off
from flows.commands import training, tuning, predicting, explaining, scoring, evaluating, comparing  # noqa: F401
from flows.commands import promoting, folders, servers  # noqa: F401
# isort: on

USER_ERROR = 2
INTERRUPTED = 130
FOR_THE_OWNER = 0o077
"""What others may not do with files that a command makes: scans, pixels and scores are of people."""


def main() -> None:
    """Run the command; an error that is the user's to mend ends in one line and exit code 2."""
    os.umask(os.umask(FOR_THE_OWNER) | FOR_THE_OWNER)
    _end_as_by_ctrl_c()
    try:
        code = app(standalone_mode=False)  # Typer's own words for a mistyped command take five lines
        if code == INTERRUPTED:
            _fail_interrupted()
        sys.exit(code or 0)
    except TyperException as error:
        _fail_mistyped(error)
    except XrayError as error:
        _fail(str(error), USER_ERROR)
    except OSError as error:  # a full disk, a folder taken away: the system's words name it
        _fail(f"the operating system reported: {error}", USER_ERROR)
    except KeyboardInterrupt:
        _fail_interrupted()


def _end_as_by_ctrl_c() -> None:
    """Let a closed terminal and `kill` end a command in order: its runs are told, its server ends, nothing is left.

    Where a signal is ignored, as SIGHUP is by nohup, it stays so.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)


def _fail_mistyped(error: TyperException) -> NoReturn:
    """Say what is wrong with a command's arguments; one that was given none has printed its help."""
    if type(error).__name__ == "NoArgsIsHelpError":  # Typer gives its class away as little as the others'
        sys.exit(USER_ERROR)
    words, ctx = getattr(error, "format_message", error.__str__), getattr(error, "ctx", None)
    _fail(f"{words().rstrip('.')}; {ctx.command_path if ctx else 'xray'} --help lists the options", USER_ERROR)


def _fail_interrupted() -> NoReturn:
    _fail("interrupted; the same command continues from what is finished", INTERRUPTED)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"xray: {visible(' '.join(redacted(message).split()))}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
