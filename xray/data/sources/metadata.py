"""What the reader of a source gives: a row a scan, what was left out, and what a person should know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

ROW_COLUMNS = ["image_id", "path", "label", "subtype", "source", "patient_id", "official"]
ABOUT_THE_SCAN = ["view", "sex", "age", "site", "date"]
"""What a source may say besides; a column that none of its rows fills is left out."""

REJECT_COLUMNS = ["image_id", "path", "reason", "detail"]
MOST_REJECTED = 0.05
"""The share of rows with an unknown label or type from which on a table is refused."""

OFFICIAL = ("train", "validation", "test")
"""What a source may say of a scan's split."""


@dataclass(frozen=True)
class Metadata:
    """What a source says of its scans.

    Attributes:
        rows: A row a scan whose file exists: `ROW_COLUMNS`, all str, and those of `ABOUT_THE_SCAN` that the source has.
            `patient_id` and `official` are empty where the source does not say them.
        rejects: A row a scan or file that is left out: image_id, path, reason, detail, all str.
        notes: What a person should know, in words: repeated rows, differences from the Summary file.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame
    notes: list[str]


def reject(path: str, reason: str, detail: str, image_id: str = "") -> dict[str, str]:
    """Make a row of `Metadata.rejects`; the scan is named by its file where it has no other name."""
    return {"image_id": image_id or path.rpartition("/")[2], "path": path, "reason": reason, "detail": detail}


def rejects_table(rejects: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """Make `Metadata.rejects` of its rows."""
    return pd.DataFrame(list(rejects), columns=REJECT_COLUMNS, dtype="str")
