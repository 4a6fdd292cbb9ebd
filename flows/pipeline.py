"""The whole way from a folder of scans to a registered model."""

from typing import TYPE_CHECKING

from prefect import flow

from flows.naming import run_name, tagged
from flows.schedule import LONGEST_SECONDS, one_line_failure, skip_if_stale, tell_failure
from tasks.cross_validation import train_folds
from tasks.data import audit_and_split, clean, normalize
from tasks.registration import register, register_seeds
from tasks.training import combine, ensemble_run, evaluate, inspect_model, seed_configs, train
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.data.store.fill_pixel_store import PixelStore
    from xray.runs.training_run import Recorded


@flow(
    name="pipeline",
    flow_run_name=run_name,
    persist_result=False,
    timeout_seconds=LONGEST_SECONDS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
@tagged
@one_line_failure
def pipeline(request: Request, dask: str | None = None) -> "Recorded":
    """Clean, normalize, audit and split, train, evaluate, inspect, register; finished work is reused.

    Args:
        request: What to train on, and how.
        dask: A Dask scheduler's address, or `local`: scans are normalized there; all else is done here.

    Returns:
        What was recorded in MLflow.
    """
    if skipped := skip_if_stale():
        return skipped
    cleaned = clean(request)
    store = normalize(cleaned, request, dask)
    catalog = audit_and_split(cleaned, store, request)
    if request.config.training.seeds > 1:
        return _with_seeds(catalog, store, request)
    trained = train(catalog, store, request)
    evaluated = evaluate(trained, catalog, store, request)
    inspect_model(trained, evaluated, catalog, store, request)
    return register(trained, evaluated, catalog, request)


def _with_seeds(catalog: "Catalog", store: "PixelStore", request: Request) -> "Recorded":
    """Train and evaluate each seed, combine them, evaluate, register one model."""
    seeds = seed_configs(catalog, store, request)
    with ensemble_run(seeds, request) as parent:
        runs = train_folds(seeds, request, parent)
        trained = combine(runs, request)
        evaluated = evaluate(trained, catalog, store, request)
        inspect_model(trained, evaluated, catalog, store, request)
        return register_seeds(runs, trained, evaluated, catalog, request)


@flow(name="prepare", flow_run_name=run_name, persist_result=False)
@tagged
@one_line_failure
def prepare(request: Request, dask: str | None = None) -> "Catalog":
    """Clean, normalize, audit and split: catalog and pixel store, without training.

    Args:
        request: What to prepare, and how.
        dask: A Dask scheduler's address, or `local`: scans are normalized there; all else is done here.

    Returns:
        The catalog.
    """
    cleaned = clean(request)
    store = normalize(cleaned, request, dask)
    return audit_and_split(cleaned, store, request)
