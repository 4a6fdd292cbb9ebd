"""What the server does by itself: one automation by default, and notifications for whoever asks for them."""

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import ChangeFlowRunState

from flows.schedule import one_line_failure, tell_failure
from flows.servers.automations import SILENT, SILENT_SECONDS, TOLD, apply, mark_zombie_runs
from flows.servers.server_registry import HEARTBEAT_SECONDS
from xray.errors import DataError, XrayError

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client
        for automation in client.read_automations():
            client.delete_automation(automation.id)


def names(client: SyncPrefectClient) -> list[str]:
    return sorted(automation.name for automation in client.read_automations())


def test_applied_again_nothing_is_there_twice(client: SyncPrefectClient) -> None:
    apply(client, None)
    apply(client, None)
    assert names(client) == [SILENT]


def test_a_silent_run_is_crashed_after_more_than_one_missing_sign_of_life() -> None:
    (action,) = mark_zombie_runs().actions
    assert cast(ChangeFlowRunState, action).state.value == "CRASHED"
    assert SILENT_SECONDS >= 3 * HEARTBEAT_SECONDS


def test_a_block_that_is_not_there_is_refused_and_nothing_is_changed(client: SyncPrefectClient) -> None:
    apply(client, None)
    with pytest.raises(XrayError, match="--notify must name a block.*Received: slack-webhook/nobody"):
        apply(client, "slack-webhook/nobody")
    assert names(client) == [SILENT]


@pytest.fixture
def received() -> Iterator[tuple[str, list[str]]]:
    """The address of a web hook, and the bodies that it was sent."""
    bodies: list[str] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()


@flow(name="refused", persist_result=False, on_failure=[tell_failure])
@one_line_failure
def refused() -> None:
    raise DataError("the folder must hold scans. Received: none")


def test_a_failed_run_is_told_through_a_block_that_was_named_and_no_longer_when_it_is_not(
    client: SyncPrefectClient, received: tuple[str, list[str]]
) -> None:
    address, bodies = received
    block = CustomWebhookNotificationBlock(name="hook", url=address, json_data={"text": "{{subject}}: {{body}}"})
    cast(Any, block.save)("alerts", overwrite=True)
    apply(client, "custom-webhook/alerts")
    assert set(names(client)) == {SILENT, TOLD}
    refused(return_state=True)
    deadline = time.monotonic() + 60
    while not bodies:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert bodies == ['{"text":"refused failed: the folder must hold scans. Received: none"}']
    apply(client, None)
    assert names(client) == [SILENT]
