"""Look at a data folder: what it would be read as, and a first `dataset.toml` to be edited."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from xray.data.sources.dataset_file import Columns, Dataset, column_in, layout_names
from xray.data.sources.file_listing import list_files, printable
from xray.data.sources.file_names import find
from xray.data.sources.metadata import plain_paths
from xray.data.sources.read_source import Source, read_as, source_at, tables_in
from xray.data.sources.table_file import read_table, value
from xray.data.sources.words.label_words import LabelWords, with_common
from xray.data.sources.words.scan_words import split_word
from xray.errors import XrayError
from xray.files.s3 import DataPath
from xray.table import Table

EXAMPLES = 3
MOST_WORDS = 40
"""A column with more different words than this holds no labels."""

FEWEST_FILES = 0.5
"""The share of a column's cells that must name files for the column to be that of files."""


@dataclass(frozen=True)
class Description:
    """What a folder would be read as.

    Attributes:
        kind: In words.
        tables: Title to table: columns, words, what is read, examples.
        fault: Why it cannot be read as it is, in one line; empty where it can.
        toml: A first `dataset.toml`.
    """

    kind: str
    tables: dict[str, Table]
    fault: str
    toml: str


def describe(folder: DataPath) -> Description:
    """Look at a data folder.

    Raises:
        DataError: The folder is missing, or its `dataset.toml` is none.
        S3Error: The server cannot be reached or refuses.
    """
    source = source_at(folder)
    if source.is_coronahack:
        return _with_what_is_read(folder, source, Description(source.kind, {}, "", 'name = "ours"\n'))
    dataset = source.dataset or Dataset()
    if source.table:
        return _with_what_is_read(folder, source, _of_table(folder, source.table, source.kind, dataset))
    found = _with_what_is_read(folder, source, _of_folders(folder, source.kind, dataset))
    tables = tables_in(folder)
    if not found.fault or len(tables) != 1:
        return found
    fault = f"the columns of {tables[0]} must be named in a dataset.toml. Received: none"
    return replace(_of_table(folder, tables[0], "a table whose columns must be named", dataset), fault=fault)


def _of_table(folder: DataPath, table: str, kind: str, dataset: Dataset) -> Description:
    cells = read_table(folder / table)
    cells = cells.loc[:, ~cells.columns.duplicated() & (cells.columns != "")]
    roles = _roles(folder, cells, dataset)
    words = _words(cells[roles["label"]], dataset) if "label" in roles else {}
    toml = _toml_of_table(table, roles, words)
    if dataset.name in layout_names():
        toml = f'layout = "{dataset.name}"\ntable = {json.dumps(table)}\n'
    return Description(kind, {"Columns": _columns(cells, roles), **_shown(words)}, "", toml)


def _of_folders(folder: DataPath, kind: str, dataset: Dataset) -> Description:
    words = _folders(folder, dataset)
    return Description(kind, _shown(words), "", 'name = "ours"\n' + _toml_of_labels(words))


def _shown(words: Mapping[str, tuple[int, str]]) -> dict[str, Table]:
    rows = [(word, f"{count:,}", meaning) for word, (count, meaning) in words.items()]
    return {"Words": Table(("word", "scans", "read as"), rows)} if rows else {}


def _with_what_is_read(folder: DataPath, source: Source, taken: Description) -> Description:
    """Add the counts of what is read and some examples, or why nothing is."""
    try:
        metadata = read_as(source, folder)
    except XrayError as error:
        return replace(taken, fault=str(error))
    counts = metadata.rows.groupby(["official", "label"]).size()
    read = [(f"{split or 'no split'}, {label}", f"{count:,}") for (split, label), count in counts.items()]
    known = metadata.rows.loc[metadata.rows["patient_id"] != "", "patient_id"]
    without = len(metadata.rows) - len(known)
    read += [("patients", f"{known.nunique():,}"), ("scans of unknown patient", f"{without:,}")]
    left = Counter(metadata.rejects["reason"]).most_common()
    read += [(f"left out: {reason}", f"{count:,}") for reason, count in left]
    read += [("note", note) for note in metadata.notes]
    examples = metadata.rows.head(EXAMPLES)
    lines = [tuple(map(str, row)) for row in examples.itertuples(index=False)]
    shown = {"Read as": Table(("what", "scans"), read), "Examples": Table(tuple(map(str, examples.columns)), lines)}
    return replace(taken, tables={**taken.tables, **shown})


def _roles(folder: DataPath, cells: pd.DataFrame, dataset: Dataset) -> dict[str, str]:
    """Tell which column is what: by its name, and files and labels else by what the column holds."""
    header = list(cells.columns)
    kinds = [kind for kind in Columns.model_fields if kind != "findings"]
    roles = {kind: found for kind in kinds if (found := column_in(header, getattr(dataset.columns, kind)))}
    paths = plain_paths(list_files(folder, [dataset.scans]))
    shares = {name: sum(map(bool, find(cells[name], paths, dataset.scans).paths)) / len(cells) for name in header}
    best = max(header, key=lambda name: shares[name])
    if shares.get(roles.get("file", ""), 0.0) < FEWEST_FILES <= shares[best]:
        roles["file"] = best
    if "label" not in roles:
        words = LabelWords(with_common(dataset.labels), dataset.separator)
        few = [name for name in header if name not in roles.values() and cells[name].nunique() <= MOST_WORDS]
        known = [name for name in few if any(map(words.knows, cells[name].unique()))]
        roles |= {"label": known[0]} if known else {}
    return roles


def _columns(cells: pd.DataFrame, roles: dict[str, str]) -> Table:
    kinds = {name: kind for kind, name in roles.items()}
    rows = [(name, kinds.get(name, ""), ", ".join(cells[name].head(EXAMPLES))) for name in cells.columns]
    return Table(("column", "read as", "such as"), rows)


def _words(column: pd.Series, dataset: Dataset) -> dict[str, tuple[int, str]]:
    words = LabelWords(with_common(dataset.labels), dataset.separator)
    counted = Counter(value(cell) for cell in column).most_common(MOST_WORDS)
    return {word or "(empty)": (count, _meaning(words, word)) for word, count in counted}


def _folders(folder: DataPath, dataset: Dataset) -> dict[str, tuple[int, str]]:
    words = LabelWords(with_common(dataset.labels))
    paths = plain_paths(list_files(folder, [dataset.scans]))
    parts = Counter(part for path in paths for part in path.split("/")[:-1])
    return {
        printable(part): (count, split_word(part) or _meaning(words, part))
        for part, count in parts.most_common(MOST_WORDS)
    }


def _meaning(words: LabelWords, word: str) -> str:
    read = words.read(word)
    return read.label if not read.reason else f"? {read.reason}"


def _toml_of_table(table: str, roles: dict[str, str], words: dict[str, tuple[int, str]]) -> str:
    lines = ['name = "ours"', f"table = {json.dumps(table)}", "", "[columns]"]
    lines += [f"{kind} = {json.dumps(name, ensure_ascii=False)}" for kind, name in roles.items()]
    lines += [f'# {kind} = "…"' for kind in ("file", "label", "patient") if kind not in roles]
    return "\n".join(lines) + "\n" + _toml_of_labels(words)


def _toml_of_labels(words: dict[str, tuple[int, str]]) -> str:
    """Write the words that are known under their label, and the others where they are left out until someone says."""
    by_label: dict[str, list[str]] = {"normal": [], "pneumonia": [], "leave_out": []}
    for word, (_, meaning) in words.items():
        if meaning not in ("train", "validation", "test"):
            by_label.setdefault("leave_out" if meaning.startswith("?") else meaning, []).append(word)
    lines = [f"{label} = {json.dumps(listed, ensure_ascii=False)}" for label, listed in by_label.items()]
    return "\n".join(["", "[labels]", *lines]) + "\n"
