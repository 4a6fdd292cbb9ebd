"""What MLflow's gate lets through: the password's bearer, and no page but the server's own."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from xray.tracking.server.access_gate import Gate, Receive, Scope, Send

PASSWORD = "xray:secret"
OWN = "http://127.0.0.1:5000"


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers everything."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"behind"})


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


def asked(path: str = "/", method: str = "GET", password: str | None = PASSWORD, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if password is not None:
        named["authorization"] = basic(password)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=Gate(behind, PASSWORD))
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await client.request(method, path, headers=named)

    return asyncio.run(ask())


@pytest.mark.parametrize("password", ["xray:secret", "anyone:xray:secret", ":xray:secret"])
def test_the_password_is_let_through_and_so_is_its_whole_line_pasted(password: str) -> None:
    assert asked(password=password).text == "behind"


@pytest.mark.parametrize("password", [None, "", "xray:", "xray:secre", "secret", "xray:secret:", "xray:xray:secre"])
def test_whoever_has_none_is_asked_for_it(password: str | None) -> None:
    answer = asked(password=password)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "header", ["Bearer xray:secret", "Basic", "Basic ???", basic(PASSWORD).replace("Basic", "Digest")]
)
def test_another_scheme_is_no_password(header: str) -> None:
    assert asked(password=None, authorization=header).status_code == 401


def test_that_it_is_up_is_told_to_everyone(password: None = None) -> None:
    assert asked("/health", password=password).text == "behind"
    assert asked("/health", "POST", password=password).status_code == 401
    assert asked("/health/../api", password=password).status_code == 401


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://localhost:5000", "https://evil.example", "null"])
def test_a_page_of_another_origin_is_refused_though_the_browser_knows_the_password(origin: str) -> None:
    assert asked("/api", "POST", origin=origin).status_code == 403
    assert asked("/api", "GET", origin=origin).status_code == 403


@pytest.mark.parametrize(("site", "mode", "dest"), [
    ("same-site", "no-cors", "image"), ("cross-site", "no-cors", "script"), ("same-site", "navigate", "iframe"),
])  # fmt: skip
def test_what_another_page_embeds_is_refused(site: str, mode: str, dest: str) -> None:
    assert asked(sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=dest).status_code == 403


def test_a_link_from_another_page_is_followed_and_posts_nothing() -> None:
    followed = {"sec_fetch_site": "same-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert asked(**followed).text == "behind"
    assert asked("/", "POST", **followed).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:8000", "[::1]:5000"])
def test_its_own_pages_are_let_through_under_every_name_of_this_machine(host: str) -> None:
    own = {"host": host, "origin": f"http://{host}", "sec_fetch_site": "same-origin"}
    assert asked("/api", "POST", **own).text == "behind"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.1:5000", ""])
def test_a_name_that_was_bound_to_this_machine_from_outside_is_refused(host: str) -> None:
    assert asked("/health", host=host).status_code == 403


def test_a_web_socket_is_closed_to_others() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", b"127.0.0.1:5000")]}
    asyncio.run(Gate(behind, PASSWORD)(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
