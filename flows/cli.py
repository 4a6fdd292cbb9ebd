"""The `xray` command: every command joined, and every mistake answered in one line."""

import sys

from flows.commands.app import app
from xray.data.listing import visible
from xray.errors import XrayError

# Imported for what they add to the app, in the order of the help page.
# isort: off
from flows.commands import training, tuning, predicting, explaining, scoring, comparing, promoting, folders, servers  # noqa: F401
# isort: on

USER_ERROR = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command; an error that is the user's to mend ends in one line and exit code 2."""
    try:
        app()
    except XrayError as error:
        _fail(str(error), USER_ERROR)
    except OSError as error:  # a full disk, a folder taken away: the system's words name it
        _fail(f"the system refused: {error}", USER_ERROR)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Typer answers Ctrl-C itself, with this code and no word.
        if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:
            raise
        _fail("interrupted; given again, the same command goes on from what is finished", INTERRUPTED)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"xray: {visible(' '.join(message.split()))}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
