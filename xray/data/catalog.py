"""The catalog: who, where, which label, which split. Written once, named by its content."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from xray.config import digest_of
from xray.data.sources.metadata import ABOUT_THE_SCAN, REJECT_COLUMNS
from xray.errors import DamagedError
from xray.files.artifact_folder import kept_json, kept_table, write_folder
from xray.files.checked_io import read_json, read_parquet
from xray.files.digest import bytes_sha256
from xray.files.s3 import DataPath

COLUMNS = [
    "image_id",
    "path",
    "sha256",
    "width",
    "height",
    "pixels_sha256",
    "label",
    "subtype",
    "source",
    "patient_id",
    "split",
    "fold",
]
ROWS, REJECTS, FINDINGS = "catalog.parquet", "rejects.parquet", "audit.json"
"""The files of a catalog's folder, beside its manifest."""


@dataclass(frozen=True)
class Catalog:
    """A finished catalog on disk.

    Attributes:
        folder: Holds `catalog.parquet`, `rejects.parquet`, `audit.json` and `manifest.json`.
        digest: Names the folder; depends on the rows, the rejects and the findings.
        data: The folder of scans that `path` is relative to.
        reused: Whether the folder was there already.
    """

    folder: Path
    digest: str
    data: DataPath
    reused: bool

    def rows(self, split: str | None = None) -> pd.DataFrame:
        """Read the rows, one a scan, in order of `image_id`; those of one split if one is named.

        Raises:
            DamagedError: They are not what the catalog's name says; as for the other two.
        """
        rows = kept_table(self.folder, ROWS, self.prove)
        return rows if split is None else rows[rows["split"] == split].reset_index(drop=True)

    def rejects(self) -> pd.DataFrame:
        """Read what was left out: `image_id, path, reason, detail`."""
        return kept_table(self.folder, REJECTS, self.prove)

    def findings(self) -> dict[str, Any]:
        """Read the audit's findings."""
        return kept_json(self.folder, FINDINGS, self.prove)

    def prove(self) -> None:
        """Compare the content with the name, as of a catalog that lists no digests of its files.

        Raises:
            DamagedError: They differ.
        """
        rows, rejects = (read_parquet(self.folder / name) for name in (ROWS, REJECTS))
        found = _content_digest(rows, rejects, read_json(self.folder / FINDINGS))
        if found != self.digest:
            raise DamagedError(self.folder, f"content of another name, {found}")


def write_catalog(
    rows: pd.DataFrame, rejects: pd.DataFrame, findings: Mapping[str, Any], data: DataPath, root: Path
) -> Catalog:
    """Write a catalog folder, or find the one that holds the same.

    Args:
        rows: One row a scan, with at least `COLUMNS`; those of `ABOUT_THE_SCAN` are kept where they are there.
        rejects: What was left out, with `REJECT_COLUMNS`.
        findings: The audit's findings, JSON-like.
        data: The folder of scans.
        root: Where catalog folders lie.

    Raises:
        StoreError: The folder could not be written; nothing of it is left then.
    """
    said = [column for column in ABOUT_THE_SCAN if column in rows]
    rows = rows[COLUMNS + said].sort_values("image_id", ignore_index=True)
    rejects = rejects[REJECT_COLUMNS].sort_values(REJECT_COLUMNS, ignore_index=True)
    digest = _content_digest(rows, rejects, findings)

    def fill(folder: Path) -> dict[str, Any]:
        rows.to_parquet(folder / ROWS, index=False)
        rejects.to_parquet(folder / REJECTS, index=False)
        (folder / FINDINGS).write_text(json.dumps(findings, indent=2, sort_keys=True), encoding="utf-8")
        splits = rows["split"].value_counts()
        return {
            "digest": digest,
            "rows": len(rows),
            "rejects": len(rejects),
            "splits": {str(name): int(count) for name, count in splits.items()},
        }

    catalog = Catalog(root / digest, digest, data, reused=False)
    return replace(catalog, reused=not write_folder(catalog.folder, fill, catalog.prove))


def _content_digest(rows: pd.DataFrame, rejects: pd.DataFrame, findings: Mapping[str, Any]) -> str:
    # Over CSV text, not Parquet bytes: a new pyarrow must not rename every catalog.
    tables = [bytes_sha256(table.to_csv(index=False).encode()) for table in (rows, rejects)]
    return digest_of([*tables, findings])
