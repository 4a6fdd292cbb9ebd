"""The password of a home: what its servers demand and all that is ours sends, in a file for its owner alone."""

import re
import secrets
from pathlib import Path

from filelock import FileLock

from xray.errors import XrayError
from xray.files.atomic import whole_private_file

FOLDER, NAME = ".prefect", "password"
USER = "xray"
LINE = re.compile(r"[^\s:]+:\S+")
LOCK_SECONDS = 30.0


def password_file(home: Path) -> Path:
    """Name the file, whose one line is `USER:PASSWORD`."""
    return home / FOLDER / NAME


def kept_password(home: Path) -> str | None:
    """Read the password of a home.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state.

    Returns:
        `USER:PASSWORD`; None where no server has been started yet, or the file was damaged.

    Raises:
        XrayError: The file is there and cannot be read.
    """
    path = password_file(home)
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise XrayError(
            f"the home's password must be readable by the home's users. Received: {path} ({error.strerror})"
        ) from error
    return text if LINE.fullmatch(text) else None


def made_password(home: Path) -> str:
    """Read the password of a home, making it where there is none; of several that begin at once, all get the same.

    Args:
        home: The folder that holds data/, mlruns/ and Prefect's own state; made if it does not exist.

    Returns:
        `USER:PASSWORD`, as the environment variables of Prefect take it.

    Raises:
        XrayError: The home cannot be written.
    """
    path = password_file(home)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            password = kept_password(home)
            if password is None:
                password = f"{USER}:{secrets.token_urlsafe(24)}"
                with whole_private_file(path) as draft:
                    draft.write_text(f"{password}\n", encoding="utf-8")
            elif path.stat().st_mode & 0o077:
                path.chmod(0o600)
    except OSError as error:
        raise XrayError(f"--home must be a writable folder. Received: {home} ({error.strerror})") from error
    return password
