"""What the reader of a source gives: a row a scan, what was left out, and what a person should know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from xray.data.sources.file_listing import Listing, printable

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
        private: Whether scans and patients are named by digests outside of the home.
        folder: Of several data folders, the one that the scans lie in, relative to what all have in common.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame
    notes: list[str]
    private: bool = False
    folder: str = ""


def reject(path: str, reason: str, detail: str, image_id: str = "") -> dict[str, str]:
    """Make a row of `Metadata.rejects`; the scan is named by its file where it has no other name."""
    return {"image_id": image_id or path.rpartition("/")[2], "path": path, "reason": reason, "detail": detail}


def rejects_table(rejects: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """Make `Metadata.rejects` of its rows."""
    return pd.DataFrame(list(rejects), columns=REJECT_COLUMNS, dtype="str")


def plain_paths(listing: Listing) -> set[str]:
    """Give the listed files whose names any table can hold: UTF-8, without control characters."""
    return {path for path in listing.paths if printable(path) == path}


def no_scans(listing: Listing) -> list[dict[str, str]]:
    """Give a reject for each thing in a listing that cannot be a scan."""
    found = [(path, "unsafe-name", "the link points outside the folder") for path in listing.leaving]
    found += [(path, "unreadable", why) for path, why in listing.unreadable.items()]
    odd = listing.paths - plain_paths(listing)
    found += [(path, "unsafe-name", "the name is no UTF-8 or has control characters") for path in odd]
    return [reject(printable(path), reason, detail) for path, reason, detail in sorted(found)]
