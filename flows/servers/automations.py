"""Automations of Prefect's server for runs without heartbeat and failed runs."""

from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from flows.schedule import FAILED_EVENT
from flows.servers.server_registry import HEARTBEAT_SECONDS
from xray.errors import XrayError

SILENT = "Mark a run without heartbeat as Crashed"
TOLD = "Report a failed run"
SILENT_SECONDS = 4 * HEARTBEAT_SECONDS
"""Without a sign of life for so long, a run is dead: a busy machine may be late with one or two."""


def apply(client: SyncPrefectClient, notify: str | None) -> None:
    """Make the server's automations what this file says.

    Args:
        client: Of the server.
        notify: The notification block that a failed run is told through, `TYPE/NAME`; None for nobody.

    Raises:
        XrayError: There is no such block.
    """
    wanted = [mark_zombie_runs()] if notify is None else [mark_zombie_runs(), notify_on_failure(client, notify)]
    for name in (SILENT, TOLD):
        for old in client.read_automations_by_name(name):
            client.delete_automation(old.id)
    for automation in wanted:
        client.create_automation(automation)


def mark_zombie_runs() -> AutomationCore:
    """Mark a run without heartbeat as Crashed, as in Prefect's documentation of zombie flows.

    Any other event of the run ends the watch: its last one bears the name of its final state, of which we have our own.
    """
    return AutomationCore(
        name=SILENT,
        description="Its process was killed, or its machine is gone.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {SILENT_SECONDS} s. Run again, it continues from its last finished epoch.",
            )
        ],
    )


def notify_on_failure(client: SyncPrefectClient, notify: str) -> AutomationCore:
    """Send one line to a notification block when a run has failed.

    Raises:
        XrayError: There is no such block.
    """
    kind, _, name = notify.partition("/")
    try:
        block = client.read_block_document_by_name(name, kind)
    except ObjectNotFound as error:
        raise XrayError(f"--notify must name a block of Prefect's, TYPE/NAME. Received: {notify}") from error
    return AutomationCore(
        name=TOLD,
        description=f"Through the block {notify}.",
        trigger=EventTrigger(expect={FAILED_EVENT}, posture=Posture.Reactive, threshold=1),
        actions=[
            SendNotification(
                block_document_id=block.id,
                subject="{{ event.payload.flow }} failed",
                body="{{ event.payload.line }}",
            )
        ],
    )
