"""A recipe trained on every fold, for mean, spread and out-of-fold scores."""

from typing import TYPE_CHECKING, Annotated

from prefect import flow
from pydantic import Field

from flows.naming import run_name, tagged
from flows.schedule import LONGEST_SECONDS, one_line_failure, skip_if_stale, tell_failure
from tasks.cross_validation import cut_into_folds, parent_run, sum_up, train_folds
from tasks.data import clean, normalize
from xray.config import Request

if TYPE_CHECKING:
    from xray.runs.cross_validation_run import CrossValidationRun


@flow(
    name="cross-validate",
    flow_run_name=run_name,
    persist_result=False,
    timeout_seconds=LONGEST_SECONDS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
@tagged
@one_line_failure
def cross_validate(
    request: Request,
    seeds: Annotated[int, Field(ge=1, le=20)] = 1,
    dask: str | None = None,
) -> "CrossValidationRun":
    """Clean and normalize once, then train and evaluate each fold, and summarize; finished work is reused.

    Args:
        request: What to train on, and how; the number of folds is `split.folds`.
        seeds: How often each fold is trained, with `training.seed` and the seeds after it.
        dask: A Dask scheduler's address, or `local`: scans are normalized and folds trained there; without one,
            fold after fold is trained here.

    Returns:
        Where the cross-validation is found.
    """
    if skipped := skip_if_stale():
        return skipped
    cleaned = clean(request)
    store = normalize(cleaned, request, dask)
    folds = cut_into_folds(cleaned, store, request, seeds)
    with parent_run(folds, request) as parent:
        runs = train_folds(folds, request, parent, dask)
        return sum_up(folds, runs, request)
