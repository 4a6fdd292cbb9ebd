"""Tasks from a folder of scans to a catalog and a pixel store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.artifacts import show_table
from tasks.cluster.dask_cluster import cluster_at
from tasks.prefect_task import Outcome, step
from tasks.progress import doing, progress_of
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.data.prepare import Cleaned
    from xray.data.store.fill_pixel_store import PixelStore


@step(name="clean")
def clean(request: Request) -> Outcome[Cleaned]:
    """Read the metadata, find its files and digest them."""
    from xray.data import prepare

    with doing("reading the metadata and the scans' digests"):
        cleaned = prepare.clean(request.sources, request.workspace)
    return Outcome(cleaned, f"{cleaned.scans:,} scans", reused=cleaned.reused)


@step(name="normalize")
def normalize(cleaned: Cleaned, request: Request, dask: str | None = None) -> Outcome[PixelStore]:
    """Decode what the pixel store does not hold yet, here or on a Dask cluster."""
    from xray.data import prepare

    report = progress_of("scans")
    with doing("normalizing"):
        filled = prepare.normalize(cleaned, request.config, request.workspace, report, cluster_at(dask))
    report(1, 1)  # reused, it is at its end
    said = f"{filled.decoded:,} decoded, {filled.reused:,} reused"
    return Outcome(filled.store, said, reused=filled.decoded == 0)


@step(name="audit and split")
def audit_and_split(cleaned: Cleaned, store: PixelStore, request: Request) -> Outcome[Catalog]:
    """Audit the scans, cut them into folds and write the catalog."""
    from xray.data import audit, prepare

    with doing("auditing and splitting"):
        catalog = prepare.write_prepared(cleaned, store, request.config, request.workspace)
    lines = audit.lines(catalog.findings())
    show_table("audit", "The audit's findings, before any training.", ("finding", "value"), lines)
    return Outcome(catalog, f"catalog {catalog.digest}", reused=catalog.reused)
