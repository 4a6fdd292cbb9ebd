"""The champion over a folder of new scans."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from prefect import flow
from pydantic import Field

from flows.naming import run_name, tagged
from flows.schedule import NIGHT_SECONDS, one_line_failure, skip_if_stale, tell_failure
from tasks.scoring import choose, list_scans, log_run, report, score_new
from xray.config import Drift, Registry, Workspace

if TYPE_CHECKING:
    from tasks.scoring import InboxResult

MODEL_NAME = Registry().model_name
SETTINGS = Drift()

ModelName = Annotated[str, Field(min_length=1)]


@flow(
    name="score",
    flow_run_name=run_name,
    persist_result=False,
    timeout_seconds=NIGHT_SECONDS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
@tagged
@one_line_failure
def score(
    inbox: Path,
    output: Path,
    rescore: bool = False,
    drift: Drift = SETTINGS,
    model_name: ModelName = MODEL_NAME,
    home: Path = Path(),
    dask: str | None = None,
) -> "InboxResult":
    """Score new scans in an inbox, compare them with the scans the model was made from, and log to MLflow.

    Prefect's form shows what stands here beside each field.

    Args:
        inbox: Folder to which scans are delivered, subfolders included.
        output: Folder that keeps the scores, outside the inbox; made if it does not exist.
        rescore: Score what this version has not scored, even if other versions have.
        drift: The limits of the drift alarm.
        model_name: The registered model.
        home: Folder that holds data/ and mlruns/.
        dask: A Dask scheduler's address, or `local`, to score there; without one, here.

    Returns:
        What was done. The files in `output` are written before MLflow is told.
    """
    if skipped := skip_if_stale():
        return skipped
    workspace = Workspace(home=home.resolve())
    choice = choose(workspace, model_name)
    found = list_scans(inbox, output, workspace)
    scored = score_new(found, choice, output, rescore, workspace, dask)
    reports = report(scored, inbox, output, drift)
    return log_run(scored, reports, choice, workspace)
