"""A recipe's values searched: a study of trials, each a training of its own."""

from typing import TYPE_CHECKING

from prefect import flow
from pydantic import SecretStr

from flows.naming import run_name, tagged
from flows.schedule import LONGEST_SECONDS, one_line_failure, skip_if_stale, tell_failure
from tasks.data import clean
from tasks.tuning import open_study, prepare_materials, study_run, sum_up, trials_left, try_all
from xray.config import Request
from xray.tuning.search_space import Search

if TYPE_CHECKING:
    from xray.tuning.study_run import StudyResult


@flow(
    name="tune",
    flow_run_name=run_name,
    persist_result=False,
    timeout_seconds=LONGEST_SECONDS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
@tagged
@one_line_failure
def tune(
    request: Request, search: Search | None = None, storage: SecretStr | None = None, dask: str | None = None
) -> "StudyResult":
    """Clean, normalize and split once, then run the remaining trials, and summarize; TEST is not used.

    Args:
        request: What to train on, and what the searched values are changed in.
        search: What is searched, and how; without one, the shipped space.
        storage: The address of the study's database; without one, a file in the home.
        dask: A Dask scheduler's address, or `local`: scans are normalized and trials run there; without one, trial
            after trial is run here.

    Returns:
        Where the study is found.
    """
    if skipped := skip_if_stale():
        return skipped
    search = search or Search()
    search.require_fits(request.config)
    materials = prepare_materials(clean(request), request, search, dask)
    study = open_study(materials, request, search, storage)
    with study_run(study, request) as parent:
        tried = try_all(study, trials_left(study), request, parent, dask)
        return sum_up(study, tried, request)
