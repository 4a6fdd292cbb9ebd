"""The flows promote and rollback."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from prefect import flow
from pydantic import Field

from flows.naming import run_name, tagged
from flows.schedule import one_line_failure, tell_failure
from tasks.prefect_task import requested_by
from tasks.promotion import decide, ended, find_challenger, find_champion_before, judge, roll_back
from xray.config import Data, Promotion, Registry, Workspace

if TYPE_CHECKING:
    from xray.promotion.outcome import PromotionOutcome

MODEL_NAME = Registry().model_name
POLICY = Promotion()

Version = Annotated[int | None, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


@flow(name="promote", flow_run_name=run_name, persist_result=False, on_failure=[tell_failure],
      on_crashed=[tell_failure])  # fmt: skip
@tagged
@one_line_failure
def promote(  # noqa: PLR0913, PLR0917 what Prefect's form asks
    version: Version = None,
    force: bool = False,
    reason: str = "",
    data: Data | None = None,
    policy: Promotion = POLICY,
    model_name: Name = MODEL_NAME,
    home: Path = Path(),
    by: str = "",
    on: Data | None = None,
) -> "PromotionOutcome":
    """Compare a challenger with the champion on the same scans, and make it champion if the policy allows.

    Prefect's form shows what stands here beside each field.

    Args:
        version: The version to promote; empty for the one with the alias `challenger`.
        force: Promote it even if the policy refuses. Needs a reason.
        reason: The reason, in words; it is stored in the history.
        data: Where the scans are now, a folder or s3://BUCKET/FOLDER; empty for where the challenger's run found them.
        policy: Which scans are used, minimum values, and margins against the champion.
        model_name: The registered model.
        home: Folder that holds data/ and mlruns/.
        by: Your name for the history, which also shows the worker's user.
        on: Labelled scans of your own that are used instead of TEST, a folder or s3://BUCKET/FOLDER.

    Returns:
        The decision. The run ends Completed, in a state named Promoted, Refused or Withdrawn.
    """
    workspace = Workspace(home=home.resolve())
    challenge = find_challenger(workspace, model_name, version)
    comparison = judge(challenge, workspace, policy, data, force, on)
    return ended(decide(challenge, comparison, workspace, force, reason, requested_by(by)))


@flow(name="rollback", flow_run_name=run_name, persist_result=False, on_failure=[tell_failure],
      on_crashed=[tell_failure])  # fmt: skip
@tagged
@one_line_failure
def rollback(reason: str = "", model_name: Name = MODEL_NAME, home: Path = Path(), by: str = "") -> "PromotionOutcome":
    """Make the previous champion champion again.

    Args:
        reason: The reason, in words; it is stored in the history.
        model_name: The registered model.
        home: Folder that holds data/ and mlruns/.
        by: Your name for the history, which also shows the worker's user.

    Returns:
        The decision. The run ends Completed, in a state named Returned or Withdrawn.
    """
    workspace = Workspace(home=home.resolve())
    challenge = find_champion_before(workspace, model_name)
    return ended(roll_back(challenge, workspace, reason, requested_by(by)))
