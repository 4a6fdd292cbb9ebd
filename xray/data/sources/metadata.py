"""What the reader of a source gives: a row a scan, what was left out, and what a person should know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from xray.data.sources.file_listing import Listing, printable

ROW_COLUMNS = ["image_id", "path", "label", "subtype", "source", "patient_id", "official"]
ABOUT_THE_SCAN = ["view", "sex", "age", "site", "date"]
"""What a source may say besides; a column that none of its rows fills is left out."""

REJECT_COLUMNS = ["image_id", "path", "reason", "detail"]
MOST_REJECTED = 0.05
"""The share of rows with an unknown label or type from which on a table is refused."""


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

    @classmethod
    def of(
        cls, rows: pd.DataFrame, rejects: Iterable[Mapping[str, str]], listing: Listing, notes: list[str]
    ) -> "Metadata":
        """Make it of rows, the rejects among them, and what a listing shows that cannot be a scan."""
        return cls(rows, rejects_table([*rejects, *no_scans(listing)]), notes)


def reject(path: str, reason: str, detail: str, image_id: str = "") -> dict[str, str]:
    """Make a row of `Metadata.rejects`; the scan is named by its file where it has no other name."""
    return {"image_id": image_id or path.rpartition("/")[2], "path": path, "reason": reason, "detail": detail}


def rejects_table(rejects: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """Make `Metadata.rejects` of its rows."""
    return pd.DataFrame(list(rejects), columns=REJECT_COLUMNS, dtype="str")


def one_row_per_file(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, list[dict[str, str]], int]:
    """Keep agreeing rows of a file once; reject a file whose rows do not agree.

    Args:
        rows: `path, label, subtype` and the columns, perhaps `image_id`; the index is the line of the table.
        columns: What rows of a file must agree on besides the label, `subtype` among it; a reject tells it.

    Returns:
        The rows that are kept, the rejects, and how many rows repeat another one.
    """
    distinct = rows.drop_duplicates(["path", "label", *columns])
    clashing = distinct["path"].duplicated(keep=False)
    rejects = []
    for path, group in distinct[clashing].groupby("path", sort=False):
        reason = "conflicting-labels" if group["subtype"].nunique() > 1 else "conflicting-rows"
        told = [
            f"line {line}: {' '.join(filter(None, words))}"
            for line, *words in group[list(columns)].itertuples(name=None)
        ]
        name = group["image_id"].iloc[0] if "image_id" in group else ""
        rejects.append(reject(str(path), reason, " and ".join(told), name))
    return distinct[~clashing], rejects, len(rows) - len(distinct)


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
