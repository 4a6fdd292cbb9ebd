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
from xray.data.sources.words.label_words import COMMON, LabelWords, canonical, with_common
from xray.data.sources.words.scan_words import split_word
from xray.errors import XrayError
from xray.files.s3 import DataPath
from xray.labels import LABELS
from xray.scheme_files import is_name
from xray.table import Table

EXAMPLES = 3
MOST_WORDS = 40
"""A column with more different words than this holds no labels."""

ANSWERS = {"1", "0", "-1", ""}
"""What a column of one finding holds: it is there, is not, is doubtful, or is not mentioned."""

SEPARATORS = ("|", ";", ",", "/")
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
        finding: The label that needs a scheme of its own, if there is one; several are joined by `and`.
    """

    kind: str
    tables: dict[str, Table]
    fault: str
    toml: str
    finding: str = ""


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
    toml = _toml_of_table(table, roles, words, cells)
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
    others = " and ".join(sorted(set(metadata.rows["label"]) - set(LABELS)))
    return replace(taken, tables={**taken.tables, **shown}, finding=others)


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


def _toml_of_table(table: str, roles: dict[str, str], words: dict[str, tuple[int, str]], cells: pd.DataFrame) -> str:
    findings = {} if "label" in roles else _findings(cells)
    separator = _separator(words)
    lines = ['name = "ours"', f"table = {json.dumps(table)}"]
    lines += [f"separator = {json.dumps(separator)}"] if separator else []
    lines += ["", "[columns]"]
    lines += [f"{kind} = {json.dumps(name, ensure_ascii=False)}" for kind, name in roles.items()]
    wanted = ("file", "patient") if findings else ("file", "label", "patient")
    lines += [f'# {kind} = "…"' for kind in wanted if kind not in roles]
    lines += ["", "[columns.findings]"] if findings else []
    lines += [
        f"{'' if name in COMMON else '# '}{name} = {json.dumps(column, ensure_ascii=False)}"
        for column, name in findings.items()
    ]
    if separator:
        parts = Counter(part.strip() for word, (count, _) in words.items() for part in word.split(separator) * count)
        known = LabelWords(with_common({}))
        words = {part: (count, _meaning(known, part)) for part, count in parts.most_common(MOST_WORDS) if part}
    return "\n".join(lines) + "\n" + ("" if findings else _toml_of_labels(words))


def _findings(cells: pd.DataFrame) -> dict[str, str]:
    """Find columns of 1, 0, -1 and empty, with what each would be called; none where no usual word is among them."""
    known = LabelWords(with_common({}))
    found = {}
    for column in cells.columns:
        said = {value(cell).removesuffix(".0") for cell in cells[column]}
        if said <= ANSWERS and said & {"1", "0"}:
            found[column] = _meaning(known, column) if known.knows(column) else canonical(column).replace(" ", "-")
    return found if any(map(known.knows, found)) else {}


def _separator(words: Mapping[str, tuple[int, str]]) -> str:
    """Find what stands between the findings of a cell: where it does, unknown cells fall apart into usual words."""
    known = LabelWords(with_common({}))
    for mark in SEPARATORS:
        parts = [
            part.strip() for word, (_, meaning) in words.items() if meaning.startswith("?") for part in word.split(mark)
        ]
        if any(mark in word for word in words) and any(map(known.knows, parts)):
            return mark
    return ""


def _toml_of_labels(words: dict[str, tuple[int, str]]) -> str:
    """Write the words that are known under their label, and the others where they are left out until someone says."""
    by_label: dict[str, list[str]] = {"normal": [], "pneumonia": [], "leave_out": []}
    for word, (_, meaning) in words.items():
        if meaning not in ("train", "validation", "test"):
            by_label.setdefault("leave_out" if meaning.startswith("?") else meaning, []).append(word)
    lines = [f"{label} = {json.dumps(listed, ensure_ascii=False)}" for label, listed in by_label.items()]
    others = [(name, word) for word in by_label["leave_out"] if is_name(name := canonical(word).replace(" ", "-"))]
    if others:
        lines += ["# a finding of your own, instead of leave_out, takes a scheme: docs/your-own-scans.md"]
        lines += [f"# {name} = {json.dumps([word], ensure_ascii=False)}" for name, word in others]
    return "\n".join(["", "[labels]", *lines]) + "\n"
