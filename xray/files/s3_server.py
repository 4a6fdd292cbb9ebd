"""The S3 server that the environment names, reached through Arrow, and what it says in one line each."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from pyarrow import fs

from xray.errors import S3Error, S3Unavailable

ATTEMPTS = 5
"""Times that a request is sent where the connection is cut or the server is busy, 1 to 13 s in all; tasks are tried
again besides."""

CONNECT_SECONDS = 10

_SAID = re.compile(
    r"AWS Error (?P<code>\w+)(?: \(HTTP status (?P<status>\d+)\))? during \w+ operation: (?P<words>.*)", re.DOTALL
)
_AWAY = {"NETWORK_CONNECTION", "INTERNAL_FAILURE", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "THROTTLING", "REQUEST_TIMEOUT"}
_DENIED = {
    "ACCESS_DENIED",
    "EXPIRED_TOKEN",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_CLIENT_TOKEN_ID",
    "INVALID_SIGNATURE",
    "SIGNATURE_DOES_NOT_MATCH",
    "UNRECOGNIZED_CLIENT",
}
_GONE = {"NO_SUCH_KEY", "RESOURCE_NOT_FOUND"}
_LONGEST = 200


@contextmanager
def asked(address: str) -> Iterator[fs.S3FileSystem]:
    """Give the server for some requests, and tell what it says of them as errors of ours.

    Args:
        address: What the requests are about, for the errors.

    Raises:
        FileNotFoundError: There is no such object.
        S3Error: The server cannot be reached, which is an `S3Unavailable`, or it refuses.
    """
    try:
        yield _server(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None, ATTEMPTS)
    except FileNotFoundError as error:
        raise _gone(address) from error
    except OSError as error:
        if error.errno is not None:  # not the server's, but a disk's that is read or written beside
            raise
        raise _told(address, error) from error
    except ValueError as error:  # of Arrow: an endpoint, say, that is none
        raise S3Error(f"{address} must be usable. Received: {' '.join(str(error).split())[:_LONGEST]}") from error


@cache
def _server(endpoint: str | None, attempts: int) -> fs.S3FileSystem:
    return fs.S3FileSystem(
        endpoint_override=endpoint,  # which Arrow 25 does not take from the environment by itself
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
        connect_timeout=CONNECT_SECONDS,
        allow_delayed_open=True,  # a small object is then written by one request, not by four
    )


def _gone(address: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address)


def _parts(error: OSError) -> tuple[str, str]:
    """Read the server's code, such as `ACCESS_DENIED`, and its words, without the ids of requests."""
    said = _SAID.search(str(error))
    if said is None:
        return "", " ".join(str(error).split())[:_LONGEST]
    words = " ".join(said["words"].partition("(Request ID")[0].split())
    code = f"HTTP status {said['status']}" if said["status"] else said["code"]
    return code, f"{code}, {words}"[:_LONGEST]


def _is_away(code: str) -> bool:
    return code in _AWAY or code.startswith("HTTP status 5")


def _told(address: str, error: OSError) -> OSError | S3Error:
    code, said = _parts(error)
    if code in _GONE:
        return _gone(address)
    if _is_away(code):
        return S3Unavailable(f"{address} must be reachable. Received: {said}")
    if code in _DENIED or code == "HTTP status 403":
        return S3Error(f"{address} must be open to the credentials given, see docs/s3.md. Received: {said}")
    if code == "NO_SUCH_BUCKET":
        return S3Error(f"{address} must be in an existing bucket. Received: {said}")
    return S3Error(f"{address} must be usable. Received: {said}")
