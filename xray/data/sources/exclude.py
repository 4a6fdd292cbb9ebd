"""What a source asks to leave out, besides scans whose label is: views, and patients below an age."""

from dataclasses import replace

import pandas as pd

from xray.data.sources.dataset_file import Exclude
from xray.data.sources.metadata import Metadata, reject, rejects_table
from xray.data.sources.words.scan_words import view_of

MOST_LISTED = 8


def excluded(metadata: Metadata, exclude: Exclude) -> Metadata:
    """Move what is asked to be left out from the rows to the rejects."""
    rows = metadata.rows
    reasons = pd.Series("", index=rows.index, dtype="str")
    if "age" in rows and exclude.younger_than:
        reasons[pd.to_numeric(rows["age"], errors="coerce") < exclude.younger_than] = "left-out-age"
    if "view" in rows:
        views = [view_of(each).casefold() for each in exclude.views]
        reasons[rows["view"].str.casefold().isin(views)] = "left-out-view"
        there = set(rows["view"].str.casefold())
        absent = [word for word, view in zip(exclude.views, views, strict=True) if view not in there]
        if absent and "views" in exclude.model_fields_set:
            note = f"exclude.views: no scan is {' or '.join(absent)}; there are {_listed(rows['view'])}"
            metadata = replace(metadata, notes=[*metadata.notes, note])
    if not (reasons != "").any():
        return metadata
    details = {"left-out-age": "age", "left-out-view": "view"}
    gone = [
        reject(row["path"], reason, str(row[details[reason]]), row["image_id"])
        for (_, row), reason in zip(rows.iterrows(), reasons, strict=True)
        if reason
    ]
    rejects = pd.concat([metadata.rejects, rejects_table(gone)], ignore_index=True)
    return replace(metadata, rows=rows[reasons == ""].reset_index(drop=True), rejects=rejects)


def _listed(views: pd.Series) -> str:
    """Name the views that there are, most first."""
    return ", ".join(each or "unknown" for each in views.value_counts().index[:MOST_LISTED])
