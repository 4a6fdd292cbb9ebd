"""Tasks from a folder of scans to a catalog and a pixel store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.artifacts import show_table
from tasks.cluster import cluster_at
from tasks.libraries import load
from tasks.policy import done, step
from tasks.progress import doing, progress_of
from xray.config import Request

if TYPE_CHECKING:
    from xray.data.catalog import Catalog
    from xray.data.prepare import Cleaned
    from xray.data.store.fill_pixel_store import PixelStore


@step(name="clean")
def clean(request: Request) -> Cleaned:
    """Read the metadata, find its files and digest them."""
    with doing("reading the metadata and the scans' digests"):
        cleaned = load("xray.data.prepare").clean(request.data, request.places)
    return done(cleaned, cleaned.reused, f"{cleaned.scans:,} scans")


@step(name="normalize")
def normalize(cleaned: Cleaned, request: Request, dask: str | None = None) -> PixelStore:
    """Decode what the pixel store does not hold yet, here or on a Dask cluster."""
    report = progress_of("scans")
    with doing("normalizing"):
        normalize = load("xray.data.prepare").normalize
        filled = normalize(cleaned, request.config, request.places, report, cluster_at(dask))
    report(1, 1)  # reused, it is at its end
    return done(filled.store, filled.decoded == 0, f"{filled.decoded:,} decoded, {filled.reused:,} reused")


@step(name="audit and split")
def audit_and_split(cleaned: Cleaned, store: PixelStore, request: Request) -> Catalog:
    """Audit the scans, cut them into folds and write the catalog."""
    with doing("auditing and splitting"):
        catalog = load("xray.data.prepare").write_prepared(cleaned, store, request.config, request.places)
    lines = load("xray.data.audit").lines(catalog.findings())
    show_table("audit", "What the audit found in the scans, before any training.", ("finding", "value"), lines)
    return done(catalog, catalog.reused, f"catalog {catalog.digest}")
