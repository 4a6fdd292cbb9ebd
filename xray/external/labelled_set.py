"""Labelled scans that a model is measured on: any layout that `run` reads, without a split."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from xray.config import Workspace, digest_of
from xray.data.audit import left_out
from xray.data.prepare import clean
from xray.data.sources.metadata import ABOUT_THE_SCAN
from xray.errors import DataError
from xray.files.s3 import DataPath

SPLIT = "external"
"""What the rows' split is called, and with it every figure: `external.auc`."""

COLUMNS = ["image_id", "path", "sha256", "patient_id", "label", "subtype", "source"]


@dataclass(frozen=True)
class LabelledSet:
    """Scans with labels, one row a scan.

    Attributes:
        name: What a person calls the set: its sources.
        digest: Of its scans, labels and patients.
        data: The folder that paths are relative to.
        rows: `COLUMNS`, `split`, and what the source says besides (`ABOUT_THE_SCAN`); all str. Of files with the same
            bytes there is one.
        notes: What a reader should know of it, in words.
    """

    name: str
    digest: str
    data: DataPath
    rows: pd.DataFrame
    notes: Sequence[str]

    @property
    def patients(self) -> int:
        """How many patients they are of."""
        return int(self.rows["patient_id"].nunique())

    def only(self, chosen: pd.Series, note: str) -> "LabelledSet":
        """Keep some of the scans, and say why.

        Args:
            chosen: bool (n,), those that stay.
            note: In words.
        """
        rows = self.rows[chosen].reset_index(drop=True)
        return LabelledSet(self.name, _digest(rows), self.data, rows, [*self.notes, note])


def read_labelled_set(data: Sequence[DataPath], workspace: Workspace) -> LabelledSet:
    """Read one folder of labelled scans, or several as one set.

    Args:
        data: Folders in any layout that `xray run` reads; an official split makes no difference.
        workspace: Keeps the cleaned metadata and, of a private source, what leads back.

    Raises:
        DataError: A folder or its metadata cannot be read, or no scan is left.
        S3Error: A server cannot be reached or refuses.
        StoreError: The outcome could not be written.
    """
    cleaned = clean(data, workspace)
    rows, notes = cleaned.rows(), list(cleaned.notes())
    if gone := left_out(cleaned.rejects()["reason"]):
        notes.append(gone)
    labels = rows.groupby("sha256")["label"].transform("nunique")
    if (labels > 1).any():
        notes.append(f"{int((labels > 1).sum()):,} files with the same bytes have different labels: left out")
    rows = rows[labels == 1]
    copies = rows.duplicated("sha256")
    if copies.any():
        notes.append(f"{int(copies.sum()):,} files are copies of another one: counted once")
    rows = rows[~copies].reset_index(drop=True)
    if rows.empty:
        raise DataError(f"a model is measured on labelled scans. Received: none in {cleaned.data}")
    unknown = rows["patient_id"] == ""
    if unknown.any():
        notes.append(
            f"{int(unknown.sum()):,} of {len(rows):,} scans have no known patient: each counts as a patient, and "
            "intervals may be too narrow"
        )
    rows["patient_id"] = rows["patient_id"].where(~unknown, "scan-" + rows["sha256"].str[:16])
    known = [name for name in ABOUT_THE_SCAN if name in rows]
    rows = rows[[*COLUMNS, *known]].assign(split=SPLIT)
    return LabelledSet(" and ".join(sorted(rows["source"].unique())), _digest(rows), cleaned.data, rows, notes)


def _digest(rows: pd.DataFrame) -> str:
    named = rows[["sha256", "label", "subtype", "patient_id"]].sort_values("sha256")
    return digest_of(named.to_numpy().tolist())
