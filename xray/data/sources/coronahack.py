"""CoronaHack's metadata: from the public CSV and its folders to rows and rejects.

One reader of a catalog's rows; sets that one table describes need none, but a file in `layouts/`. The files as listed
and the rows as written are both taken as they are: names are looked up in the listing and never opened here, so no
name, however odd, can fail.
"""

import pandas as pd
import pandera.pandas as pa

from xray.data.sources.dataset_file import Columns, column_in
from xray.data.sources.file_listing import Listing, list_files, printable, stays_inside
from xray.data.sources.metadata import (
    MOST_REJECTED,
    REJECT_COLUMNS,
    ROW_COLUMNS,
    Metadata,
    one_row_per_file,
    reject,
    rejects_table,
)
from xray.data.sources.table_file import read_table, require_columns, value
from xray.data.sources.words.patient_ids import has_known_names, patient_ids, source_of
from xray.data.sources.words.patients import column_of_patients, patients_of
from xray.errors import DataError, S3Error
from xray.files.s3 import DataPath
from xray.labels import CAUSE_OF_SUBTYPE, LABELS, NORMAL, PNEUMONIA

METADATA_NAME = "Chest_xray_Corona_Metadata.csv"
SUMMARY_NAME = "Chest_xray_Corona_dataset_Summary.csv"
NESTED = "Coronahack-Chest-XRay-Dataset"
CATEGORIES = ["Label", "Label_1_Virus_category", "Label_2_Virus_category"]
COLUMNS = ["X_ray_image_name", "Dataset_type", *CATEGORIES]

_OFFICIAL = {"train": "train", "test": "test"}
# The public CSV spells it Pnemonia: corrected here, once.
_LABELS = {"normal": NORMAL, "pnemonia": PNEUMONIA, "pneumonia": PNEUMONIA}
_SUBTYPES = {
    ("normal", "", ""): "normal",
    ("pneumonia", "", ""): "pneumonia",
    ("pneumonia", "bacteria", ""): "bacterial",
    ("pneumonia", "bacteria", "streptococcus"): "streptococcus",
    ("pneumonia", "virus", ""): "viral",
    ("pneumonia", "virus", "covid-19"): "covid-19",
    ("pneumonia", "virus", "sars"): "sars",
    ("pneumonia", "stress-smoking", "ards"): "ards",
}

LEGAL = pa.DataFrameSchema(
    {
        "image_id": pa.Column(checks=pa.Check.str_length(min_value=1)),
        "label": pa.Column(checks=pa.Check.isin(LABELS)),
        "official": pa.Column(checks=pa.Check.isin(list(_OFFICIAL.values()))),
        "subtype": pa.Column(checks=pa.Check.isin(list(CAUSE_OF_SUBTYPE))),
    }
)
"""What a row may hold once its words are read."""

_REASONS = {"image_id": "no-name", "label": "unknown-label", "official": "unknown-type", "subtype": "unknown-subtype"}


def read_coronahack(folder: DataPath) -> Metadata:
    """Read a folder in CoronaHack's layout.

    Args:
        folder: Holds `Chest_xray_Corona_Metadata.csv`, perhaps its Summary, and `train/` and `test/`, directly or
            below `Coronahack-Chest-XRay-Dataset/` once or twice.

    Returns:
        Rows in the order of the metadata, rejects in the order of the checks.

    Raises:
        DataError: The folder or the metadata is missing or cannot be read, a column is missing, or more than
            `MOST_REJECTED` of the rows bear a label or type that is not known.
        S3Error: The server cannot be reached or refuses.
    """
    if not folder.is_dir():
        raise DataError(f"data folder must be an existing folder. Received: {folder}")
    table = read_table(folder / METADATA_NAME, COLUMNS)
    scans = _find_scans(folder)
    rows, illegal = _legal_rows(table, folder / METADATA_NAME, scans)
    rows, conflicting, repeated = one_row_per_file(rows, ["subtype"])
    files = list_files(folder, list(scans.values()))
    rows, missing = _rows_with_a_file(rows, files)
    known = set(rows["path"]) | {reject["path"] for reject in [*illegal, *conflicting, *missing]}
    rowless = [
        reject(path, "no-row", "not in the metadata")
        for path in sorted(printable(path) for path in files.paths - known)
    ]
    rowless += [
        reject(path, "unreadable", why)
        for path, why in sorted((printable(path), why) for path, why in files.unreadable.items() if path not in known)
    ]
    notes = [f"{repeated} rows repeat another row and are kept once"] if repeated else []
    rows["patient_id"], said = _patients(rows, table, folder / METADATA_NAME)
    notes += said
    rejects = rejects_table([*illegal, *conflicting, *missing, *rowless])
    return Metadata(rows[ROW_COLUMNS].reset_index(drop=True), rejects, notes + _summary_notes(table, folder))


def _find_scans(folder: DataPath) -> dict[str, str]:
    """Find `train` and `test`, as paths relative to the folder."""
    for prefix in ("", f"{NESTED}/", f"{NESTED}/{NESTED}/"):
        if any((folder / prefix / official).is_dir() for official in _OFFICIAL.values()):
            return {official: f"{prefix}{official}" for official in _OFFICIAL.values()}
    raise DataError(f"data folder must contain train/ and test/, directly or below {NESTED}/. Received: {folder}")


def _words(column: pd.Series) -> pd.Series:
    return column.map(value).str.lower()


def _legal_rows(
    table: pd.DataFrame, path: DataPath, scans: dict[str, str]
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """Read each row's words and set apart the rows that `LEGAL` does not allow."""
    label = _words(table["Label"]).map(lambda word: _LABELS.get(word, word))
    categories = zip(label, *(_words(table[name]) for name in CATEGORIES[1:]), strict=True)
    rows = pd.DataFrame({"image_id": table["X_ray_image_name"], "label": label})
    rows["official"] = _words(table["Dataset_type"]).map(lambda word: _OFFICIAL.get(word, word))
    rows["subtype"] = [_SUBTYPES.get(words, " / ".join(words)) for words in categories]
    rows["path"] = [
        f"{scans.get(official, official)}/{name}"
        for official, name in zip(rows["official"], rows["image_id"], strict=True)
    ]
    rows["source"] = rows["image_id"].map(source_of)
    failures = _failures(rows)
    rejects = [
        {
            "image_id": str(rows.at[line, "image_id"]),
            "path": str(rows.at[line, "path"]),
            "reason": _REASONS[column],
            "detail": f"line {line}: {rows.at[line, column]}",
        }
        for line, column in failures.items()
    ]
    if len(rejects) > MOST_REJECTED * len(rows):
        first = f"{rejects[0]['reason']}, {rejects[0]['detail']}"
        raise DataError(
            f"{path}: at most {MOST_REJECTED:.0%} of the rows may have an unknown label or type. "
            f"Received: {len(rejects)} of {len(rows)}, first {first}"
        )
    return rows.drop(index=list(failures)), rejects


def _patients(rows: pd.DataFrame, table: pd.DataFrame, path: DataPath) -> tuple[list[str], list[str]]:
    """Take patients from a column where there is one, else by CoronaHack's names or other known ones."""
    column = column_in(list(table.columns), Columns().patient)
    if column is not None:
        require_columns(path, table.columns, [column])
        return column_of_patients(table.loc[rows.index, column], column)
    names = rows["image_id"].tolist()
    if has_known_names(names):
        return patient_ids(names, "merged"), []
    return patients_of(names)


def _failures(rows: pd.DataFrame) -> dict[int, str]:
    """Name the first column that `LEGAL` does not allow, for each line that has one."""
    try:
        LEGAL.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.dropna(subset=["index"])
        first: dict[int, str] = {}
        for column in LEGAL.columns:
            for line in cases.loc[cases["column"] == column, "index"]:
                first.setdefault(int(line), column)
        return dict(sorted(first.items()))
    return {}


def _rows_with_a_file(rows: pd.DataFrame, files: Listing) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """Keep the rows whose file is there; reject names that lead out of the folder and names without a file."""
    reasons = pd.Series("", index=rows.index, dtype="str")
    # Plain sets, for a listed name need not be UTF-8, which pandas would refuse.
    reasons[[path not in files.paths for path in rows["path"]]] = "no-file"
    reasons[[path in files.leaving for path in rows["path"]]] = "unsafe-name"
    reasons[[not stays_inside(name) for name in rows["image_id"]]] = "unsafe-name"
    reasons[[path in files.unreadable for path in rows["path"]]] = "unreadable"
    details = {"no-file": "no such file", "unsafe-name": "the name or its link points outside the folder"}
    words = [
        details.get(reason, files.unreadable.get(path, "")) for reason, path in zip(reasons, rows["path"], strict=True)
    ]
    gone = rows.assign(reason=reasons, detail=words)[reasons != ""]
    return rows[reasons == ""], gone[REJECT_COLUMNS].to_dict("records")


def _summary_notes(table: pd.DataFrame, folder: DataPath) -> list[str]:
    """Compare the counts over all rows with the Summary file's, in words."""
    path = folder / SUMMARY_NAME
    if not path.exists():
        return []
    try:
        counted_columns = [*CATEGORIES, "Image_Count"]
        summary = read_table(path, counted_columns)[counted_columns]
        said = {key: int(count) for *key_words, count in summary.itertuples(index=False) for key in [tuple(key_words)]}
    except S3Error:
        raise
    except (DataError, ValueError) as error:
        # Named without its folder: what is prepared must not depend on where the scans lie.
        return [f"{SUMMARY_NAME} could not be compared: {str(error).replace(str(path), SUMMARY_NAME)}"]
    counted = {key: len(group) for key, group in table.groupby(CATEGORIES)}
    return [
        f"{' / '.join(filter(None, key))}: Summary says {said.get(key, 0)}, metadata has {counted.get(key, 0)}"
        for key in sorted(said | counted)
        if said.get(key, 0) != counted.get(key, 0)
    ]
