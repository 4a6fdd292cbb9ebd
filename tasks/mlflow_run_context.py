"""What the MLflow runs of a flow are part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.prefect_task import flow_run_id
from xray.config import Request

if TYPE_CHECKING:
    from xray.progress import Progress
    from xray.runs.run_context import RunContext


def context(request: Request, parent: str | None = None, progress: Progress | None = None) -> RunContext:
    """Say where a run of this flow is kept, what it lies below, and who hears how far it is."""
    from xray.runs.run_context import RunContext

    return RunContext(request.workspace, flow_run_id(), parent, progress)
