"""An error says by its type whether the next try may go better."""

import errno
import pickle

import pytest

from xray.errors import (
    DataError,
    DataUnavailable,
    RegistryError,
    RegistryUnavailable,
    S3Error,
    S3Unavailable,
    StoreError,
    StoreUnavailable,
    Unavailable,
    XrayError,
    by_cause,
    is_transient,
)

KINDS = {
    DataError: DataUnavailable,
    StoreError: StoreUnavailable,
    RegistryError: RegistryUnavailable,
    S3Error: S3Unavailable,
}


@pytest.mark.parametrize(("kind", "away"), KINDS.items())
def test_what_the_system_says_of_a_disk_that_is_away_makes_it_unavailable(
    kind: type[XrayError], away: type[XrayError]
) -> None:
    error = by_cause(kind, "it must be readable", OSError(errno.ESTALE, "stale file handle"))
    assert type(error) is away
    assert isinstance(error, kind) and isinstance(error, Unavailable)
    assert str(error) == "it must be readable"
    assert is_transient(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_stays_full(kind: type[XrayError]) -> None:
    error = by_cause(kind, "it must be writable", OSError(errno.ENOSPC, "no space left"))
    assert type(error) is kind
    assert not is_transient(error)


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError(), OSError(errno.EIO, "input/output")])
def test_what_a_library_lets_through_may_pass_too(error: OSError) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", [KeyError("a"), OSError(errno.EACCES, "denied"), DataError("no column")])
def test_what_is_wrong_does_not_pass(error: Exception) -> None:
    assert not is_transient(error)


def test_an_error_that_travels_from_another_process_stays_what_it_is() -> None:
    assert is_transient(pickle.loads(pickle.dumps(StoreUnavailable("away"))))
