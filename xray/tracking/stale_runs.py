"""Clean up after killed processes: open runs, half-written models, folders."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

from xray.config import digest_of
from xray.tracking.owning_process import Owner


def sweep(client: MlflowClient, experiment: str) -> None:
    """End what processes of this machine that are gone left open in an experiment: runs as KILLED, models as FAILED.

    What says nothing of its process, or names another machine, is left as it is.

    Args:
        client: A connected client.
        experiment: The experiment's id.

    Raises:
        MlflowException: The store cannot be reached.
    """
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if _is_gone(Owner.of(run.data.tags)):
            client.set_terminated(run.info.run_id, "KILLED")
    # MLflow finds no model by its status; the newest page will do, for every registration looks.
    for model in client.search_logged_models([experiment]):
        if str(model.status) == "PENDING" and _is_gone(Owner.of(model.tags)):
            client.finalize_logged_model(model.model_id, "FAILED")


@contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """Have a temporary folder for as long as the block lasts, and remove those of its kind that dead processes left.

    Args:
        kind: The beginning of its name.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{kind}-*"):
        owner = _named(folder.name.removeprefix(f"{kind}-"))
        if _is_gone(owner):
            shutil.rmtree(folder, ignore_errors=True)
    this = Owner.this()
    with tempfile.TemporaryDirectory(prefix=f"{kind}-{this.pid}-{this.born:.2f}-{digest_of(this.host)}-") as scratch:
        yield Path(scratch)


def _named(words: str) -> Owner | None:
    """Read the owner from a folder's name; None where it names none of this machine."""
    pid, _, rest = words.partition("-")
    born, _, rest = rest.partition("-")
    host = Owner.this().host
    if rest.partition("-")[0] != digest_of(host):
        return None
    try:
        return Owner(host, int(pid), float(born))
    except ValueError:
        return None


def _is_gone(owner: Owner | None) -> bool:
    return owner is not None and owner.is_alive() is False
