"""Tables beside scans, CSV or Parquet: read strictly, every cell as text."""

import csv
import difflib
import io
import math
from collections.abc import Iterable, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xray.errors import DataError, by_cause
from xray.files.s3 import DataPath, S3Path

DELIMITERS = ",;\t"
"""What may stand between a CSV's fields; the one that its header has most of."""

HEADER_BYTES = 2**16
"""Of a CSV that are looked at for its header."""

EMPTY = {"", "nan", "na", "n/a", "none", "null", "<na>"}
"""What spreadsheets and exports write into a cell without a value."""


def is_table(name: str) -> bool:
    """Whether a file is a table by its ending."""
    return name.lower().endswith((".csv", ".tsv", ".parquet"))


def read_table(path: DataPath, needed: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table.

    Args:
        path: A CSV (UTF-8; comma, semicolon or tab) or Parquet file.
        needed: Columns that must be there once.

    Returns:
        All text, blank rows left out; the index is the line of the file that a row ends on, from 2 on. A cell without a
        value is empty.

    Raises:
        DataError: It is not there, cannot be read, is no such table, has no row, or is without a column it needs.
        S3Error: The server cannot be reached or refuses.
    """
    table = _parquet(path) if path.name.lower().endswith(".parquet") else _csv(path, needed)
    require_columns(path, table.columns, needed)
    table = table[table.apply(lambda column: column.str.strip() != "").any(axis=1)]
    if table.empty:
        raise DataError(f"{path} must contain at least one row. Received: only a header")
    return table


def header_of(path: DataPath) -> list[str]:
    """Read a table's columns alone; none where it is no table.

    Raises:
        S3Error: The server cannot be reached or refuses.
    """
    try:
        if path.name.lower().endswith(".parquet"):
            return [name.strip() for name in pq.read_schema(io.BytesIO(_bytes(path))).names]
        first = _bytes(path, HEADER_BYTES).decode("utf-8-sig", "ignore").lstrip("\r\n").splitlines()[:1]
        return [name.strip() for name in next(csv.reader(first, delimiter=_delimiter(first[0])))] if first else []
    except (DataError, csv.Error, pa.ArrowException, OSError):
        return []


def require_columns(path: DataPath, header: Iterable[str], columns: Iterable[str]) -> None:
    """Refuse a table that has not each of the columns once, and name the one that may be meant.

    Raises:
        DataError: One is missing, or there twice.
    """
    header, columns = list(header), list(columns)
    for column in columns:
        if header.count(column) > 1:
            raise DataError(f"{path} must have one column {column}. Received: {header.count(column)}")
        if column not in header:
            others = [name for name in header if name and name not in columns]
            near = difflib.get_close_matches(column, others, n=1)
            seen = f"{near[0]} (misspelled?)" if near else ", ".join(name for name in header if name)[:200]
            raise DataError(f"{path} must have the column {column}. Received: {seen}")


def value(cell: str) -> str:
    """Give a cell's text without blanks around it; nothing where it says that there is no value."""
    text = cell.strip()
    return "" if text.casefold() in EMPTY else text


def _bytes(path: DataPath, most: int | None = None) -> bytes:
    try:
        if most is None or isinstance(path, S3Path):
            return path.read_bytes()
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError as error:
        raise DataError(f"data folder must contain {path.name}. Received: {path.parent}") from error
    except OSError as error:
        raise by_cause(DataError, f"{path} must be readable. Received: {error.strerror}", error) from error


def _csv(path: DataPath, needed: Sequence[str]) -> pd.DataFrame:
    try:
        text = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} must be UTF-8, as a spreadsheet saves with CSV UTF-8. Received: {error.reason} in line {line}"
        ) from error
    if not text.strip():
        raise DataError(f"{path} must be a CSV with a header. Received: an empty file")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    lines: list[int] = []
    records: list[list[str]] = []
    try:
        header = [name.strip() for name in next(reader)]
        require_columns(path, header, needed)
        for record in reader:
            if not any(cell.strip() for cell in record):
                continue
            if len(record) != len(header):
                where = f"{path}, line {reader.line_num}"
                raise DataError(f"{where} must have {len(header)} fields. Received: {len(record)}")
            lines.append(reader.line_num)
            records.append(record)
    except csv.Error as error:
        raise DataError(f"{path} must be CSV. Received: {error} in line {reader.line_num}") from error
    return pd.DataFrame(records, columns=header, index=pd.Index(lines), dtype="str")


def _delimiter(text: str) -> str:
    header = text.lstrip("\r\n").partition("\n")[0]
    return max(DELIMITERS, key=header.count)


def _parquet(path: DataPath) -> pd.DataFrame:
    try:
        table = pq.read_table(io.BytesIO(_bytes(path)))
        columns = [pd.Series([_text(each) for each in column.to_pylist()], dtype="str") for column in table.columns]
    except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        said = str(error).splitlines()[:1] or [type(error).__name__]
        raise DataError(f"{path} must be Parquet of plain values. Received: {said[0]}") from error
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    frame.columns = [name.strip() for name in table.column_names]
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    return frame


def _text(cell: object) -> str:
    """Write a value as a CSV has it: whole numbers without a point, lists as the words between commas."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, list):
        return ",".join(map(str, cell))
    return str(cell)
