"""A table beside the scans: a row a scan, with columns found by name."""

from collections.abc import Callable, Sequence

import pandas as pd

from xray.data.sources.dataset_file import Columns, Dataset, column_in
from xray.data.sources.file_listing import Listing, list_files, printable, stays_inside
from xray.data.sources.file_names import Found, find
from xray.data.sources.metadata import (
    ABOUT_THE_SCAN,
    MOST_REJECTED,
    ROW_COLUMNS,
    Metadata,
    one_row_per_file,
    plain_paths,
    reject,
)
from xray.data.sources.table_file import is_table, read_table, require_columns, value
from xray.data.sources.words.label_words import Label, LabelWords, cause_of, with_common
from xray.data.sources.words.patients import column_of_patients, patients_of
from xray.data.sources.words.scan_words import age_of, scan_names, sex_of, split_word, view_of
from xray.errors import DataError, NamesError
from xray.files.s3 import DataPath
from xray.labels import NORMAL, PNEUMONIA

NAME = "table"
"""The source's name where no `dataset.toml` gives one."""

_READ: dict[str, Callable[[str], str]] = {"view": view_of, "sex": sex_of, "age": age_of, "site": str, "date": str}


def read_scan_table(folder: DataPath, table: str, dataset: Dataset) -> Metadata:
    """Read a table and find the file of each of its rows.

    Args:
        folder: Holds the table and the scans.
        table: The table's name.
        dataset: What `dataset.toml` or a shipped layout says, if anything.

    Raises:
        DataError: The table cannot be read, has no column of files or of labels, no row names a file, or more than
            `MOST_REJECTED` of the rows have a label that is not known.
        S3Error: The server cannot be reached or refuses.
    """
    path = folder / table
    cells = read_table(path)
    named = _columns(path, cells, dataset)
    listing = list_files(folder, [dataset.scans])
    names = cells[named["file"]]
    files = find(names, plain_paths(listing), dataset.scans)
    _require_files(path, names, files, listing)
    labels = _labels(cells, named, dataset)
    rows = pd.DataFrame({"path": files.paths}, index=cells.index, dtype="str")
    rows["label"] = [label.label for label in labels]
    rows["subtype"] = [label.subtype for label in labels]
    rows["official"] = _splits(cells, named)
    for column in ABOUT_THE_SCAN:
        if column in named:
            rows[column] = [_READ[column](value(cell)) for cell in cells[named[column]]]
    reasons = _reasons(rows, names, labels)
    _require_known(path, reasons)
    rejects = _rejects(rows, names, reasons)
    rows["told"] = cells[named["patient"]].map(value) if "patient" in named else ""
    kept = rows[reasons["reason"] == ""]
    kept, clashing, repeated = one_row_per_file(kept, ["subtype", "official", "told"])
    kept = kept.assign(image_id=scan_names(kept["path"].tolist()), source=dataset.name or NAME)
    kept["patient_id"], notes = _patients(kept, named, dataset)
    kept = kept.reset_index(drop=True)
    said = [column for column in ABOUT_THE_SCAN if column in kept and (kept[column] != "").any()]
    rejects += [*clashing, *_rowless(listing, rows["path"].tolist())]
    return Metadata.of(
        kept[ROW_COLUMNS + said].astype("str"), rejects, listing, [*_notes(repeated, files, kept), *notes]
    )


def _require_known(path: DataPath, reasons: pd.DataFrame) -> None:
    """Refuse a table of which too many rows have words that nobody has explained."""
    unknown = reasons[reasons["reason"].isin(["unknown-label", "unknown-split", "unknown-subtype"])]
    if len(unknown) > MOST_REJECTED * len(reasons):
        raise DataError(
            f"{path}: at most {MOST_REJECTED:.0%} of the rows may have an unknown label or split; dataset.toml says "
            f"what words mean. Received: {len(unknown)} of {len(reasons)}, first {unknown.iloc[0]['detail']}"
        )


def _columns(path: DataPath, cells: pd.DataFrame, dataset: Dataset) -> dict[str, str]:
    """Find the table's column of each kind; refuse a table without files or labels, and a named column it has not."""
    header, columns = list(cells.columns), dataset.columns
    named: dict[str, str] = {}
    for kind in Columns.model_fields.keys() - {"findings"}:
        names = getattr(columns, kind)
        found = column_in(header, names)
        needed = kind == "file" or (kind == "label" and not columns.findings)
        if found is not None:
            named[kind] = found
        elif needed or dataset.asks_for(kind):
            require_columns(path, header, names[:1])
    require_columns(path, header, [*named.values(), *columns.findings.values()])
    return named


def _require_files(path: DataPath, names: pd.Series, files: Found, listing: Listing) -> None:
    """Refuse a table none of whose rows names a file, by example."""
    if any(files.paths):
        return
    scans = sorted(each for each in listing.paths if not _is_beside(each))
    there = f"there is {printable(scans[0])}" if scans else "there are no files"
    why = "names several files" if files.several else "names no file"
    raise NamesError(
        f"{path}: its rows must name files. Received: {len(names)} of {len(names)} rows {why}",
        f", such as {printable(str(names.iloc[0]))}; {there}",
    )


def _labels(cells: pd.DataFrame, named: dict[str, str], dataset: Dataset) -> list[Label]:
    words = LabelWords(with_common(dataset.labels), dataset.separator)
    if dataset.columns.findings:
        columns = dataset.columns.findings
        read = cells[list(columns.values())].set_axis(list(columns), axis=1).to_dict("records")
        return [words.of_columns({str(name): cell for name, cell in row.items()}) for row in read]
    labels = [words.read(cell) for cell in cells[named["label"]]]
    if "cause" not in named:
        return labels
    return [_with_cause(label, cell) for label, cell in zip(labels, cells[named["cause"]], strict=True)]


def _with_cause(label: Label, cell: str) -> Label:
    cause = cause_of(cell)
    if label.label != PNEUMONIA:
        sick = label.label == NORMAL and cause not in ("", None)
        return Label(reason="conflicting-labels", detail=f"normal / {cell.strip()}") if sick else label
    if cause is None:
        return Label(reason="unknown-subtype", detail=cell.strip())
    return Label(label.label, cause or label.subtype)


def _splits(cells: pd.DataFrame, named: dict[str, str]) -> list[str]:
    if "split" not in named:
        return [""] * len(cells)
    return [split_word(cell) or ("unknown" if value(cell) else "") for cell in cells[named["split"]]]


def _reasons(rows: pd.DataFrame, names: pd.Series, labels: Sequence[Label]) -> pd.DataFrame:
    """Give each row the reason to leave it out, or an empty one; the first that holds counts."""
    found = pd.DataFrame(
        {"reason": [label.reason for label in labels], "detail": [label.detail for label in labels]},
        index=rows.index, dtype="str",
    )  # fmt: skip

    def leave(where: pd.Series, reason: str, detail: str | pd.Series) -> None:
        found.loc[where, "reason"] = reason
        found.loc[where, "detail"] = detail if isinstance(detail, str) else detail[where]

    free = found["reason"] == ""
    leave(free & (rows["official"] == "unknown"), "unknown-split", "the split is no train, validation or test")
    if (rows["official"] != "").any():
        leave(free & (rows["official"] == ""), "no-split", "the row says no split, and others do")
    unsafe = pd.Series([not stays_inside(name) for name in names], index=rows.index)
    leave(rows["path"] == "", "no-file", "no such file")
    leave(unsafe & (rows["path"] == ""), "unsafe-name", "the name points outside the folder")
    leave(names.str.strip() == "", "no-name", "the row names no file")
    return found


def _rejects(rows: pd.DataFrame, names: pd.Series, reasons: pd.DataFrame) -> list[dict[str, str]]:
    gone = reasons[reasons["reason"] != ""]
    return [
        reject(rows.at[line, "path"] or printable(names[line]), row["reason"], f"line {line}: {row['detail']}")
        for line, row in gone.iterrows()
    ]


def _patients(rows: pd.DataFrame, named: dict[str, str], dataset: Dataset) -> tuple[list[str], list[str]]:
    """Take the patient from the column where there is one, else from the names."""
    if "patient" not in named:
        return patients_of(rows["path"].tolist(), dataset.patient_pattern)
    return column_of_patients(rows["told"], named["patient"])


def _rowless(listing: Listing, paths: Sequence[str]) -> list[dict[str, str]]:
    known = set(paths)
    others = sorted(path for path in plain_paths(listing) if not _is_beside(path))
    return [reject(path, "no-row", "not in the table") for path in others if path not in known]


def _is_beside(path: str) -> bool:
    """Whether a file is no scan by its name: the table itself, `dataset.toml`, a readme, hidden files."""
    return is_table(path) or path.lower().endswith((".toml", ".md", ".txt")) or path.rpartition("/")[2].startswith(".")


def _notes(repeated: int, files: Found, rows: pd.DataFrame) -> list[str]:
    notes = [f"{repeated} rows repeat another row and are kept once"] if repeated else []
    if files.loosely:
        notes.append(f"{files.loosely} rows name a file by another ending, case, folder or blanks")
    if files.several:
        notes.append(f"{files.several} rows may mean several files")
    if "view" in rows and (unknown := int((rows["view"] == "").sum())):
        notes.append(f"{unknown} scans have no view")
    return notes
