"""The whole way from a folder of scans to a registered model."""

from typing import TYPE_CHECKING

from prefect import flow

from flows.schedule import LONGEST_SECONDS, overtaken, plainly, tell_failure
from tasks.data import audit_and_split, clean, normalize
from tasks.learning import evaluate, train
from tasks.policy import outcome
from tasks.registering import register
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.registry.record import Recorded


@flow(
    name="pipeline",
    flow_run_name="{request.config.recipe}",
    persist_result=False,
    timeout_seconds=LONGEST_SECONDS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
@plainly
def pipeline(request: Request) -> "Recorded":
    """Clean, normalize, audit and split, train, evaluate, register; whatever is done already is reused.

    Returns:
        What was recorded in MLflow.
    """
    if skipped := overtaken():
        return skipped
    cleaned = clean(request)
    store = normalize(cleaned, request)
    catalog = audit_and_split(cleaned, store, request)
    trained = train(catalog, store, request)
    judged = evaluate(trained, catalog, store, request)
    return outcome(register(trained, judged, catalog, request))


@flow(name="prepare", flow_run_name="{request.config.recipe}", persist_result=False)
def prepare(request: Request) -> "Catalog":
    """Clean, normalize, audit and split: as far as the catalog and the pixel store.

    Returns:
        The catalog.
    """
    cleaned = clean(request)
    store = normalize(cleaned, request)
    return outcome(audit_and_split(cleaned, store, request))
