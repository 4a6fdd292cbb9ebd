"""What a run belongs to, handed down whole."""

from dataclasses import dataclass, replace

from xray.config import Workspace
from xray.progress import Progress


@dataclass(frozen=True)
class RunContext:
    """Where a run is kept, what it is part of, and who hears how far it is.

    Attributes:
        workspace: Where trainings and MLflow's store lie.
        flow_run: The id of the Prefect flow run, if any.
        parent: The MLflow run that it is a child of, if any.
        progress: Called after each epoch with (epochs done, epochs at most).
    """

    workspace: Workspace
    flow_run: str | None = None
    parent: str | None = None
    progress: Progress | None = None

    def below(self, parent: str | None, progress: Progress | None = None) -> "RunContext":
        """Give the context of a run below another one."""
        return replace(self, parent=parent, progress=progress or self.progress)
