"""The way from an MLflow run to the page of the flow run that made it."""

from urllib.parse import urlsplit, urlunsplit

from xray.config import Workspace
from xray.tracking.store import reached, store_of
from xray.tracking.ui_views import NOTE_TAG

PAGE_TAG = "prefect_page"


def link(workspace: Workspace, run_id: str, page: str | None) -> None:
    """Tell a run the page of the flow run that made it, once: a later one that reuses it all has made nothing.

    Args:
        workspace: Where MLflow's store lies.
        run_id: The MLflow run.
        page: The page's address; None where nobody serves one.

    Raises:
        RegistryError: The store cannot be reached.
    """
    if page is None:
        return
    parts = urlsplit(page)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    store = store_of(workspace)
    client = store.client()
    with reached(store):
        tags = client.get_run(run_id).data.tags
        address = tags.get(PAGE_TAG, address)
        told = f"Made by [this flow run]({address}) in Prefect."
        client.set_tag(run_id, PAGE_TAG, address)
        if told not in tags.get(NOTE_TAG, ""):
            client.set_tag(run_id, NOTE_TAG, f"{tags.get(NOTE_TAG, '')}\n\n{told}\n".lstrip())
