"""From a folder of scans to a catalog and a pixel store, in three steps that leave their outcome on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from xray.config import Config, Split, Workspace, digest_of
from xray.data.audit import audit
from xray.data.catalog import Catalog, write_catalog
from xray.data.decoding.scan_files import unreadable_reason
from xray.data.file_digests import file_digests, forget
from xray.data.privacy import hide, is_hidden, names_kept
from xray.data.sources.metadata import REJECT_COLUMNS, Metadata
from xray.data.sources.read_sources import joined, read_sources
from xray.data.split_checks import require_files, with_patients
from xray.data.splits import assign_folds, with_test
from xray.data.store.fill_pixel_store import Filled, PixelStore, fill
from xray.data.store.s3_mirror import share_folder
from xray.errors import ChangedError, DamagedError, DataError, NamesError
from xray.executors import OpenCluster
from xray.files.artifact_folder import kept_table, require_whole, write_folder
from xray.files.checked_io import read_parquet, reading
from xray.files.s3 import DataPath, S3Path
from xray.progress import Progress

ROWS, REJECTS, NOTES = "rows.parquet", "rejects.parquet", "notes.json"
"""The files of cleaned metadata, beside their manifest."""


@dataclass(frozen=True)
class Cleaned:
    """Metadata that was read and cleaned, with each file's digest.

    Attributes:
        folder: Holds `rows.parquet`, `rejects.parquet`, `notes.json` and `manifest.json`.
        digest: Names the folder; depends on the rows, rejects and notes.
        data: The folder of scans that `path` is relative to, on disk or at a server.
        scans: Number of rows.
        private: Whether scans and patients are named by digests, as the catalog then has them.
        reused: Whether the folder was there already.
    """

    folder: Path
    digest: str
    data: DataPath
    scans: int
    private: bool
    reused: bool

    def rows(self) -> pd.DataFrame:
        """Read the rows: `image_id, path, label, subtype, source, patient_id, official, sha256`.

        Raises:
            DamagedError: They are not as they were written; as for the other two.
        """
        return kept_table(self.folder, ROWS, self.prove)

    def rejects(self) -> pd.DataFrame:
        """Read what was left out: `image_id, path, reason, detail`."""
        return kept_table(self.folder, REJECTS, self.prove)

    def notes(self) -> list[str]:
        """Read what the metadata's reader has to say, in words."""
        require_whole(self.folder, [NOTES], self.prove)
        return _notes(self.folder)

    def prove(self) -> None:
        """Compare the content with the name, as of a folder that lists no digests of its files.

        Raises:
            DamagedError: They differ.
        """
        rows, rejects = (read_parquet(self.folder / name) for name in (ROWS, REJECTS))
        found = _content_digest(rows, rejects, _notes(self.folder))
        if found != self.digest:
            raise DamagedError(self.folder, f"content of another name, {found}")


def clean(data: DataPath | Sequence[DataPath], workspace: Workspace) -> Cleaned:
    """Read the metadata, find its files and digest them.

    Args:
        data: A folder in any layout that `read_source` knows, or several, each of which is a source of its own.
        workspace: Where to keep the outcome.

    Raises:
        DataError: The folder or its metadata cannot be read.
        S3Error: A server cannot be reached or refuses.
        StoreError: The outcome could not be written.
    """
    try:
        root, read = read_sources([data] if isinstance(data, Path | S3Path) else data)
    except NamesError as error:  # a command has read the source before, and told the names on its terminal
        raise DataError(error.unnamed) from None
    found = joined([_digested(each, root, workspace) for each in read])
    rows, rejects, notes = found.rows, found.rejects, found.notes
    digest = _content_digest(rows, rejects, notes)
    cleaned = Cleaned(workspace.cleaned / digest, digest, root, len(rows), found.private, reused=False)

    def write(draft: Path) -> dict[str, Any]:
        rows.to_parquet(draft / ROWS, index=False)
        rejects.to_parquet(draft / REJECTS, index=False)
        (draft / NOTES).write_text(json.dumps(notes), encoding="utf-8")
        return {"digest": digest, "rows": len(rows), "rejects": len(rejects)}

    return replace(cleaned, reused=not write_folder(cleaned.folder, write, cleaned.prove))


def _digested(metadata: Metadata, root: DataPath, workspace: Workspace) -> Metadata:
    """Give each of a source's rows its file's digest; a private source's names go."""
    shared = None if metadata.private else workspace.shared
    place, above = (root / metadata.folder, f"{metadata.folder}/") if metadata.folder else (root, "")
    inner = [path.removeprefix(above) for path in metadata.rows["path"]]
    digests = file_digests(place, inner, workspace.digest_index, shared, metadata.private)
    rows = metadata.rows.assign(sha256=[digests.get(path) for path in inner])
    unreadable = _without_digest(rows.loc[rows["sha256"].isna(), ["image_id", "path"]], root)
    rows = rows[rows["sha256"].notna()].reset_index(drop=True)
    rejects = pd.concat([metadata.rejects, unreadable], ignore_index=True)
    if metadata.private:
        rows, rejects = hide(rows, rejects, workspace, root)
    return replace(metadata, rows=rows, rejects=rejects)


def _content_digest(rows: pd.DataFrame, rejects: pd.DataFrame, notes: list[str]) -> str:
    return digest_of([rows.to_csv(index=False), rejects.to_csv(index=False), notes])


def _notes(folder: Path) -> list[str]:
    with reading(folder / NOTES):
        notes: list[str] = json.loads((folder / NOTES).read_bytes())
        return notes


def normalize(
    cleaned: Cleaned,
    config: Config,
    workspace: Workspace,
    progress: Progress | None = None,
    cluster: OpenCluster | None = None,
) -> Filled:
    """Decode what the pixel store does not hold yet.

    Args:
        cleaned: The scans.
        config: Says what each is made into.
        workspace: Where the pixel stores lie.
        progress: Called with (decoded, to decode).
        cluster: Has the scans decoded elsewhere.

    Raises:
        ChangedError: A scan is not the one that was digested; all of them are digested again next time.
        DataError: A scan cannot be read, or ended every worker that decoded it.
        StoreError: The store could not be written; what it held before is still whole.
    """
    rows = cleaned.rows()
    scans = dict(zip(rows["path"], rows["sha256"], strict=True))
    shared = workspace.shared / "pixels" if workspace.shared else None
    with names_kept(rows, cleaned.data):
        try:
            return fill(cleaned.data, scans, config.images, workspace.pixels, cluster, progress, shared)
        except ChangedError:
            forget(cleaned.data, workspace.digest_index, workspace.shared)
            raise


def write_prepared(cleaned: Cleaned, store: PixelStore, config: Config, workspace: Workspace) -> Catalog:
    """Audit the scans, cut them into folds and write the catalog.

    Args:
        cleaned: The scans.
        store: Their pixels, which say what was unreadable and what is identical.
        config: Says how to split.
        workspace: Where catalogs lie.

    Raises:
        TrainingError: A split is without one of the labels, or the patients are not known.
        DataError: Too many rows are without a file.
        StoreError: The catalog could not be written.
    """
    rows = cleaned.rows()
    require_files(len(rows), cleaned.rejects(), config.scans)
    if cleaned.private:
        rows["path"] = rows["path"].where(~is_hidden(rows), rows["image_id"])
    rows, unknown = with_patients(rows, config.split)
    unreadable = rows.merge(store.rejects, on="sha256")
    known = _named_by_first_file(rows.merge(store.facts.drop(columns="scaling"), on="sha256"))
    known, drawn = with_test(known, config.split)
    limits = [*unknown, *drawn, *_in_several_sources(known, config.split)]
    audited = audit(known, cleaned.notes(), config.split, limits)
    rejects = pd.concat([cleaned.rejects(), unreadable[REJECT_COLUMNS], audited.rejects[REJECT_COLUMNS]])
    rows = assign_folds(audited.rows, config.split)
    catalog = write_catalog(rows, rejects, audited.findings, cleaned.data, workspace.prepared)
    if workspace.shared is not None:
        share_folder(catalog.folder, workspace.shared / "prepared" / catalog.digest)
    return catalog


def _without_digest(rows: pd.DataFrame, data: DataPath) -> pd.DataFrame:
    """Say of each file without a digest why it has none; at a server, that it was not read."""
    gone = "unreadable: the file could not be read"
    words = [gone if isinstance(data, S3Path) else unreadable_reason(data / path) for path in rows["path"]]
    found = [word.partition(": ") for word in words]
    return rows.assign(reason=[reason for reason, *_ in found], detail=[detail for *_, detail in found])


def _in_several_sources(rows: pd.DataFrame, split: Split) -> list[str]:
    """Say how many pictures lie in several sources, where whole sources are held out."""
    several = int(rows.groupby("pixels_sha256")["source"].nunique().gt(1).sum())
    if split.group_by != "source" or not several:
        return []
    return [f"{several:,} pictures lie in several sources, so a source that is held out is not all new"]


def _named_by_first_file(rows: pd.DataFrame) -> pd.DataFrame:
    """Name identical pixels by the first digest of a file that holds them.

    The store's own name for them depends on the size it keeps; the catalog must not.
    """
    return rows.assign(pixels_sha256=rows.groupby("pixels_sha256")["sha256"].transform("min"))
