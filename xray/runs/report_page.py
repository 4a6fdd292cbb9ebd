"""A run's report page: written last, when it is known which version the run became."""

from datetime import UTC, datetime

from xray.config import digest_of
from xray.evaluation.reporting.page import write_page
from xray.evaluation.reporting.run_report import Origin, RunReport
from xray.tracking.run_artifacts import SENT_TAG
from xray.tracking.store import reached
from xray.tracking.tracker import Tracker
from xray.tracking.ui_views import run_page

REPORT = "report.html"
PAGE_TAG = "xray.page"
"""Names what the run's page was written of; it comes after the page."""


def log_page(tracker: Tracker, told: RunReport, version: str | None = None) -> None:
    """Put the report page into a run whose evidence is there, unless it was written of the same.

    Args:
        tracker: The run.
        told: What is told of it.
        version: Of the registered model, if the run has one.

    Raises:
        RegistryError: The store cannot be reached.
    """
    client, run_id = tracker.require()
    with reached(tracker.store):
        run = client.get_run(run_id)
    name = digest_of([run.data.tags.get(SENT_TAG), version])
    if run.data.tags.get(PAGE_TAG) == name:
        return
    store = tracker.store
    origin = Origin(
        written=f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        run_id=run_id,
        address=run_page(store.shown, run.info.experiment_id, run_id) if store.is_server else None,
        version=version,
    )
    page = write_page(told.page(origin))
    with reached(store):
        client.log_text(run_id, page, REPORT)
        client.set_tag(run_id, PAGE_TAG, name)
