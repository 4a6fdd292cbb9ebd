"""Scans found again, byte for byte, by what a catalog says of them."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from xray.errors import DataError

Named = tuple[str, str]
"""A path relative to the data folder, and the SHA-256 of the file there."""


def verified_files(data: Path, scans: Iterable[Named]) -> list[Path]:
    """Find the files of scans and read each, so that what is judged is what the catalog names.

    Args:
        data: The folder that the paths are relative to.
        scans: Which scans.

    Returns:
        The file of each scan, in order.

    Raises:
        DataError: A file is missing or was changed; one is named and the others are counted.
    """
    wanted = list(scans)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda scan: _fault(data / scan[0], scan[1]), wanted))
    faults = [fault for fault in found if fault is not None]
    if faults:
        others = f", and {len(faults) - 1:,} others of {len(wanted):,}" if len(faults) > 1 else ""
        raise DataError(
            "every scan that judges must lie there unchanged; --data FOLDER says where the scans lie now. "
            f"Received: {faults[0]}{others}"
        )
    return [data / path for path, _ in wanted]


def _fault(path: Path, digest: str) -> str | None:
    try:
        with path.open("rb") as file:
            seen = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path} ({error.strerror})"
    return None if seen == digest else f"{path} (changed)"
