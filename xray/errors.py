"""Errors that the user can fix; the command prints each as one line and exits with 2."""

import errno
from pathlib import Path


class XrayError(ValueError):
    """A requirement that the input does not meet: the requirement first, then what was received."""


class Unavailable(XrayError):
    """Something that may answer later: a tracking store, a server, a network folder. A task is retried."""


class ConfigError(XrayError):
    """A recipe, a key or a value that the configuration does not know."""


class DataError(XrayError):
    """A data folder that cannot be read as a data set."""


class NamesError(DataError):
    """A data folder's fault that is told by names of files or folders, which may be a patient's.

    Attributes:
        unnamed: The fault without them, for what is kept: a log, or a flow run's state.
    """

    def __init__(self, unnamed: str, names: str) -> None:
        """Keep both apart, and print them together."""
        super().__init__(f"{unnamed}{names}")
        self.unnamed = unnamed


class ChangedError(DataError):
    """A scan whose digest differs from the stored one: the scan changed, or the stored digest was wrong."""


class ImageError(XrayError):
    """A file that is no usable scan.

    Attributes:
        reason: One of the words of `xray.data.decoding.image_decoder.REASONS`, for the rejects table.
        detail: What was seen, for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Keep `reason` and `detail` apart, and print them together."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Travel from a worker process with both parts."""
        return (type(self), (self.reason, self.detail))


class StoreError(XrayError):
    """A store on disk that could not be written or does not hold what its manifest says."""


class DamagedError(StoreError):
    """A file of our own that is missing, or does not hold what was written into it.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: Path, reason: object) -> None:
        """Name the file and say what is wrong with it, in one line."""
        super().__init__(f"{path} must be unchanged since it was written. Received: {' '.join(str(reason).split())}")
        self.path = path
        self.reason = reason

    def reason_in(self, folder: Path) -> str:
        """Say what is wrong with a folder that holds the file, or is meant itself."""
        reason = " ".join(str(self.reason).split())
        return reason if self.path == folder else f"{self.path.relative_to(folder)}: {reason}"

    def __reduce__(self) -> tuple[type["DamagedError"], tuple[Path, str]]:
        """Travel from another process with both parts."""
        return (type(self), (self.path, str(self.reason)))


class TrainingError(XrayError):
    """A training that cannot start: too few scans, one class, or a second trainer on its folder."""


class DivergedError(TrainingError):
    """A training whose loss became infinite or NaN."""


class RegistryError(XrayError):
    """A tracking store, run, model or alias that could not be reached or does not exist."""


class EvaluationError(XrayError):
    """Scores from which no metric can be computed: different lengths, values out of bounds, only one label."""


class S3Error(XrayError):
    """An S3 server that cannot be reached or refuses, or a bucket that is not there."""


class DataUnavailable(DataError, Unavailable):
    """A data folder on a disk that is away."""


class StoreUnavailable(StoreError, Unavailable):
    """A store on a disk that is away."""


class RegistryUnavailable(RegistryError, Unavailable):
    """A tracking store that does not answer."""


class S3Unavailable(S3Error, Unavailable):
    """An S3 server that does not answer."""


_UNAVAILABLE: dict[type[XrayError], type[XrayError]] = {
    DataError: DataUnavailable,
    StoreError: StoreUnavailable,
    RegistryError: RegistryUnavailable,
    S3Error: S3Unavailable,
}

PASSING = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.ECONNRESET,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOLCK,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""What a network folder says while it is away; a full disk or a missing right stays."""


def is_transient(error: BaseException) -> bool:
    """Say whether what went wrong may be gone at the next try; bad data stays bad."""
    if isinstance(error, OSError):
        return isinstance(error, (ConnectionError, TimeoutError)) or error.errno in PASSING
    return isinstance(error, Unavailable)


def by_cause(kind: type[XrayError], message: str, cause: Exception) -> XrayError:
    """Make an error of ours of what the system said: of a kind, or `Unavailable` besides where that may pass.

    Args:
        kind: `DataError`, `StoreError`, `RegistryError` or `S3Error`.
        message: One line.
        cause: What the system said.
    """
    return _UNAVAILABLE[kind](message) if is_transient(cause) else kind(message)
