"""An inbox: a folder that scans are delivered to, under any names, as often as they come."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xray.config import Workspace
from xray.data.decoding.scan_files import unreadable_reason
from xray.data.file_digests import file_digests
from xray.data.sources.file_listing import list_files
from xray.errors import DataError

UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download")
"""What programs that copy files call them until they are whole."""


@dataclass(frozen=True)
class Inbox:
    """What lies in an inbox folder.

    Attributes:
        folder: The inbox.
        digests: From a file's path relative to the inbox, in alphabetical order, to the SHA-256 of its bytes.
        refused: From a path to why it has no digest, as `reason: detail`: it leads out of the inbox, cannot be read, is
            too large, or is a folder that cannot be listed.
    """

    folder: Path
    digests: Mapping[str, str]
    refused: Mapping[str, str]


def list_inbox(folder: Path, workspace: Workspace) -> Inbox:
    """List an inbox and all folders below it, and digest the files that are not known by size and time of change.

    Hidden files and folders, and names that a program gives to files that it has not finished, are left for later.

    Args:
        folder: The inbox.
        workspace: Where digests are remembered.

    Raises:
        DataError: The folder is not there or cannot be read.
        StoreError: The digests could not be written.
    """
    if not folder.is_dir():
        raise DataError(f"the inbox must be an existing folder. Received: {folder}")
    listing = list_files(folder, ["."])
    paths = sorted(path.removeprefix("./") for path in listing.paths)
    finished = [path for path in paths if _is_finished(path)]
    # Nobody says whether an inbox is private, and Prefect keeps what is logged: the ledger alone has names.
    digests = file_digests(folder, finished, workspace.digest_index, private=True)
    refused = {path: unreadable_reason(folder / path) for path in finished if path not in digests}
    refused |= {path.removeprefix("./"): f"unreadable: {why}" for path, why in sorted(listing.unreadable.items())}
    leaving = sorted(path.removeprefix("./") for path in listing.leaving)
    refused |= dict.fromkeys(leaving, "unsafe-name: the link points outside the inbox")
    return Inbox(folder, digests, {path: why for path, why in refused.items() if _is_finished(path)})


def require_outside(output: Path, inbox: Path) -> None:
    """Refuse an output folder that lies in the inbox, where each run would find the files of the last.

    Raises:
        DataError: It does.
    """
    if output.resolve().is_relative_to(inbox.resolve()):
        raise DataError(f"the output folder must be outside the inbox. Received: {output}")


def _is_finished(path: str) -> bool:
    parts = PurePosixPath(path).parts
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and not parts[-1].endswith("~") and not parts[-1].lower().endswith(UNFINISHED)
