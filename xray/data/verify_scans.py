"""Verify that scans are still the ones in a catalog, byte for byte."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from xray.data.decoding import scan_files
from xray.errors import DataError, ImageError
from xray.files.digest import bytes_sha256
from xray.files.s3 import READERS, DataPath, S3Path

Named = tuple[str, str]
"""A path relative to the data folder, and the SHA-256 of the file there."""


@contextmanager
def verified_files(data: DataPath, scans: Iterable[Named]) -> Iterator[list[Path]]:
    """Find the files of scans and read each, so that what is judged is what the catalog names.

    Args:
        data: The folder that the paths are relative to.
        scans: Which scans.

    Yields:
        The file of each scan, in order; of scans at a server, copies that last as long as the block.

    Raises:
        DataError: A file is missing or was changed; one is named and the others are counted.
        S3Error: The server cannot be reached or refuses.
    """
    wanted = list(scans)
    if isinstance(data, S3Path):
        with TemporaryDirectory(prefix="xray-scans-") as scratch:
            _require_verified(data, wanted, Path(scratch))
            yield [Path(scratch) / digest for _, digest in wanted]
    else:
        _require_verified(data, wanted, None)
        yield [data / path for path, _ in wanted]


def _require_verified(data: DataPath, wanted: Sequence[Named], copies: Path | None) -> None:
    with ThreadPoolExecutor(None if copies is None else READERS) as pool:
        found = list(pool.map(lambda scan: _fault(data / scan[0], scan[1], copies), wanted))
    faults = [fault for fault in found if fault is not None]
    if faults:
        others = f", and {len(faults) - 1:,} others of {len(wanted):,}" if len(faults) > 1 else ""
        raise DataError(
            "every scan of the evaluation must be there unchanged; --data FOLDER says where the scans are now. "
            f"Received: {faults[0]}{others}"
        )


def _fault(path: DataPath, digest: str, copies: Path | None) -> str | None:
    try:
        with scan_files.content(path) as content:
            if bytes_sha256(content) != digest:
                return f"{path} (changed)"
            if copies is not None:
                (copies / digest).write_bytes(content)
    except (OSError, ImageError) as error:
        return f"{path} ({error.strerror if isinstance(error, OSError) else error})"
    return None
