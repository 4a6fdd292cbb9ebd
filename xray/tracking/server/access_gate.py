"""Access control of MLflow's server: the home's password, and no page of another origin.

MLflow itself takes requests from every page of this machine, whatever its port, and its API can start programs. A
browser sends a password that it knows along with any page's requests, so the origin is looked at besides.
"""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/version")
"""What tells nothing but that a server answers."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Gate:
    """An ASGI application before another one."""

    def __init__(self, application: Application, password: str) -> None:
        """Stand before an application.

        Args:
            application: What is let through to.
            password: `USER:PASSWORD`, by HTTP's basic authentication. The whole of it is taken in the password's
                place, too, under any user's name, so that a person pastes one line.
        """
        self._application = application
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, *refusal)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Say why a request is refused; None where it is not."""
        host = headers.get("host", "")
        if urlsplit(f"//{host}").hostname not in LOOPBACK:
            return 403, "This server answers only under this machine's own name."
        if not _own_page(scope, headers, host):
            return 403, "This server answers only to its own pages."
        if scope.get("path") in OPEN and scope.get("method") == "GET":
            return None
        if not self._knows(headers.get("authorization", "")):
            return 401, "The password is the line in .prefect/password of the home; any user's name will do."
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = self._password.encode()
        known = hmac.compare_digest(given, wanted), hmac.compare_digest(given.partition(b":")[2], wanted)
        return scheme.lower() == "basic" and any(known)


def _own_page(scope: Scope, headers: Mapping[str, str], host: str) -> bool:
    """Say whether a request comes from the server's own pages, from no page, or from a person who follows a link."""
    origin = headers.get("origin")
    if origin is not None:
        return origin in (f"http://{host}", f"https://{host}")
    site = headers.get("sec-fetch-site", "none")  # every browser of the last years sends it, and programs do not
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return site in ("none", "same-origin") or (followed and scope.get("method") == "GET")


async def _answer(send: Send, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="xray", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{words}\n".encode()})
