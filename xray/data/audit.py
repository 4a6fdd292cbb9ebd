"""The audit of a data set: duplicates, contradictions, and patients on both sides of the official split.

Scans that would spoil the training or the test are rejected; all else is reported.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xray.config import Split
from xray.data.sources.words.patient_ids import RULES, SOURCES, has_known_names, patient_ids

_IN_WORDS = {
    "no-file": "rows without a file",
    "no-row": "files without a row",
    "left-out-label": "scans of other labels",
    "left-out-view": "scans of other views",
    "left-out-age": "scans of younger patients",
    "uncertain-label": "scans of uncertain label",
    "no-label": "scans without a label",
    "unknown-label": "scans of unknown label",
    "conflicting-labels": "scans of conflicting labels",
    "conflicting-rows": "scans of conflicting split or patient",
    "duplicate-of-test": "copies of TEST scans",
    "shared-patient": "scans of patients of TEST",
    "unreadable": "unreadable files",
}
_REJECT_COLUMNS = ["image_id", "path", "reason", "detail"]


@dataclass(frozen=True)
class Audit:
    """The outcome of an audit.

    Attributes:
        rows: The rows that were given, without the rejected ones, in the same order.
        rejects: image_id, path, reason, detail of the rows rejected here, all str.
        findings: What was found, as JSON takes it; the same rows give the same findings, in whatever order they came.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame
    findings: dict[str, Any]


def audit(rows: pd.DataFrame, notes: list[str], split: Split, limits: Sequence[str] = ()) -> Audit:
    """Examine a data set's rows.

    Args:
        rows: A row a scan, with image_id, path, label, subtype, source, patient_id, official, width, height and
            pixels_sha256.
        notes: What the reader of the metadata noted.
        limits: What the split cannot promise, in words: a TEST that is not official, patients that nobody knows.
        split: `drop_shared_patients` leaves TRAIN scans of patients who also have TEST scans out.
    """
    rows = rows.reset_index(drop=True)
    reasons = _reasons(rows, split)
    gone = rows.loc[reasons["reason"] != "", ["image_id", "path"]].join(reasons)
    kept = rows[reasons["reason"] == ""].reset_index(drop=True)
    ordered = rows.sort_values("path")
    findings = {
        "counts": _nested_counts(kept, ["official", "label", "subtype"]),
        "sources": _nested_counts(kept, ["source", "label"]),
        "sizes": _sizes(kept),
        "identical_pixels": _identical(ordered),
        "patients_on_both_sides": _on_both_sides(ordered),
        "rejected": {reason: int(count) for reason, count in sorted(gone["reason"].value_counts().items())},
        "notes": list(notes),
        **({"limits": list(limits)} if limits else {}),
    }
    return Audit(kept, gone[_REJECT_COLUMNS].sort_values("path", ignore_index=True).astype("str"), findings)


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give an audit's findings as a table's lines: what was looked at, and what was found."""
    same, patients = found["identical_pixels"], found["patients_on_both_sides"]
    lines = [
        (f"{official} {label}, {subtype}", f"{scans} scans")
        for official, labels in found["counts"].items()
        for label, subtypes in labels.items()
        for subtype, scans in subtypes.items()
    ]
    lines += [
        (f"source {source}", ", ".join(f"{scans} {label}" for label, scans in labels.items()))
        for source, labels in found["sources"].items()
    ]
    lines += [
        (
            f"size of {official} {label}",
            f"width {_span(size['width'])}, height {_span(size['height'])} px (least / median / most)",
        )
        for official, labels in found["sizes"].items()
        for label, size in labels.items()
    ]
    lines.append(("identical pixels", f"{same['files']} files in {same['groups']} groups"))
    lines.append(("identical pixels in train and test", f"{same['crossing_groups']} groups"))
    lines.append(("identical pixels, different labels", f"{same['conflicting_groups']} groups"))
    lines += [
        ("identical pixels, different patients", " = ".join(f"{path} ({patient})" for path, patient in pair))
        for pair in same["patient_pairs"]
    ]
    lines += [
        (f"patients in train and test{'' if rule == 'patient_id' else f', rule {rule}'}", str(count))
        for rule, count in patients.items()
    ]
    lines += [(f"rejected: {reason}", f"{scans} scans") for reason, scans in found["rejected"].items()]
    notes = found["notes"] or ["nothing to note"]
    return lines + [("metadata", note) for note in notes] + [("split", limit) for limit in found.get("limits", ())]


def left_out(reasons: Iterable[str]) -> str:
    """Say in one line what was left out of a data set, most first; empty where nothing was.

    Args:
        reasons: Of the rejects, one each.
    """
    counted = Counter(reasons).most_common()
    return ", ".join(f"{count:,} {_IN_WORDS.get(reason, reason)}" for reason, count in counted)


def _reasons(rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Give each row the reason to reject it, or an empty one; the gravest reason counts."""
    found = pd.DataFrame({"reason": "", "detail": ""}, index=rows.index, dtype="str")
    test = rows["official"] == "test"
    train = ~test
    if split.drop_shared_patients:
        shared = train & rows["patient_id"].isin(rows.loc[test, "patient_id"])
        found.loc[shared, "reason"] = "shared-patient"
        found.loc[shared, "detail"] = rows["patient_id"] + " also has test scans"
    of_test = rows[test].sort_values("path").drop_duplicates("pixels_sha256").set_index("pixels_sha256")["path"]
    copied = train & rows["pixels_sha256"].isin(of_test.index)
    found.loc[copied, "reason"] = "duplicate-of-test"
    found.loc[copied, "detail"] = "same pixels as " + rows["pixels_sha256"].map(of_test).astype("str")
    clashing = rows.groupby("pixels_sha256")["label"].transform("nunique") > 1
    found.loc[clashing, "reason"] = "conflicting-labels"
    found.loc[clashing, "detail"] = "same pixels as a scan of another label"
    return found


def _identical(rows: pd.DataFrame) -> dict[str, Any]:
    groups = rows[rows["pixels_sha256"].duplicated(keep=False)].groupby("pixels_sha256")
    several_patients = [group for _, group in groups if group["patient_id"].nunique() > 1]
    pairs = [list(map(list, zip(group["path"], group["patient_id"], strict=True))) for group in several_patients]
    return {
        "groups": int(groups.ngroups),
        "files": int(groups.size().sum()),
        "crossing_groups": int((groups["official"].nunique() > 1).sum()),
        "conflicting_groups": int((groups["label"].nunique() > 1).sum()),
        "patient_pairs": sorted(pairs),
    }


def _on_both_sides(rows: pd.DataFrame) -> dict[str, int]:
    """Count the patients with scans in TRAIN and in TEST; in CoronaHack by each of its rules."""
    ways = {"patient_id": rows["patient_id"]}
    if set(rows["source"]) <= set(SOURCES) and has_known_names(rows["image_id"].tolist()):
        names = rows["image_id"].tolist()
        ways = {rule: pd.Series(patient_ids(names, rule), index=rows.index) for rule in RULES}
    test = rows["official"] == "test"
    return {rule: len(set(patients[~test]) & set(patients[test])) for rule, patients in ways.items()}


def _nested_counts(rows: pd.DataFrame, columns: list[str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, group in rows.groupby(columns, sort=True):
        place = nested
        for word in key[:-1]:
            place = place.setdefault(word, {})
        place[key[-1]] = len(group)
    return nested


def _sizes(rows: pd.DataFrame) -> dict[str, Any]:
    """Summarize width and height: least, median and most, in pixels, by official split and label."""
    sizes: dict[str, Any] = {}
    for (official, label), group in rows.groupby(["official", "label"], sort=True):
        sizes.setdefault(official, {})[label] = {
            side: [int(group[side].min()), float(group[side].median()), int(group[side].max())]
            for side in ("width", "height")
        }
    return sizes


def _span(values: list[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)
