"""Tell what a data folder is, and read it: the one door for every layout."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from xray.data.sources.class_folders import read_class_folders
from xray.data.sources.coronahack import METADATA_NAME, read_coronahack
from xray.data.sources.dataset_file import (
    Columns,
    Dataset,
    Exclude,
    column_in,
    layout_names,
    read_dataset_file,
    shipped_layout,
)
from xray.data.sources.dicom_tags import with_dicom_tags
from xray.data.sources.exclude import excluded
from xray.data.sources.metadata import Metadata
from xray.data.sources.scan_table import read_scan_table
from xray.data.sources.table_file import header_of, is_table
from xray.errors import DataError
from xray.files.s3 import DataPath, S3Path

METADATA = ("metadata.csv", "metadata.parquet")
"""The table that Hugging Face's convention puts beside images."""


@dataclass(frozen=True)
class Source:
    """What a data folder was taken for.

    Attributes:
        kind: In words.
        table: The table that names its scans, if one does.
        dataset: How it is read; None where no file says it, for CoronaHack.
        is_coronahack: Whether it is read as CoronaHack.
    """

    kind: str
    table: str
    dataset: Dataset | None
    read: Callable[[], Metadata]
    is_coronahack: bool = False


def read_source(folder: DataPath) -> Metadata:
    """Read a data folder, whatever its layout.

    Args:
        folder: CoronaHack's CSV and folders; folders named by class; a table beside the scans; or what its
            `dataset.toml` says.

    Raises:
        DataError: The folder is missing, or what it holds cannot be read as any of these.
        XrayError: There are DICOM files, and the extra `dicom` is not installed.
        S3Error: The server cannot be reached or refuses.
    """
    return read_as(source_at(folder), folder)


def read_as(source: Source, folder: DataPath) -> Metadata:
    """Read a data folder as what it was taken for; raises as `read_source`."""
    metadata, dicom = with_dicom_tags(source.read(), folder)
    said = None if source.dataset is None else source.dataset.private
    metadata = replace(metadata, private=dicom if said is None else said)
    return excluded(metadata, Exclude() if source.dataset is None else source.dataset.exclude)


def source_at(folder: DataPath) -> Source:
    """Tell what a data folder is.

    `dataset.toml` decides where there is one; then CoronaHack's CSV, `metadata.csv` or `.parquet`, a table with the
    columns of a shipped layout, and at last folders named by class.

    Raises:
        DataError: The folder is missing, or its `dataset.toml` is none.
        S3Error: The server cannot be reached or refuses.
    """
    if not folder.is_dir():
        raise DataError(f"data folder must be an existing folder. Received: {folder}")
    tables = tables_in(folder)
    dataset = read_dataset_file(folder)
    if dataset is not None and (dataset.table or dataset.columns.model_fields_set):
        table = dataset.table or _of_layout(folder, tables, dataset)
        return _table(folder, table, dataset) if table else _folders(folder, dataset)
    said = dataset or Dataset()
    if METADATA_NAME in tables:
        return Source("CoronaHack", METADATA_NAME, dataset, lambda: read_coronahack(folder), is_coronahack=True)
    for table in METADATA:
        if table in tables:
            return _table(folder, table, said)
    for name in layout_names():
        layout = shipped_layout(name)
        if table := _of_layout(folder, tables, layout):
            changes = {key: getattr(said, key) for key in said.model_fields_set - {"layout", "columns"}}
            return _table(folder, table, layout.model_copy(update=changes))
    return _folders(folder, said)


def _table(folder: DataPath, table: str, dataset: Dataset) -> Source:
    kind = f"a table in the layout {dataset.name}" if dataset.name in layout_names() else "a table"
    return Source(kind, table, dataset, lambda: read_scan_table(folder, table, dataset))


def _folders(folder: DataPath, dataset: Dataset) -> Source:
    return Source("folders named by class", "", dataset, lambda: read_class_folders(folder, dataset))


def _of_layout(folder: DataPath, tables: list[str], layout: Dataset) -> str:
    """Find the one table that has the layout's columns of files and labels."""
    columns = layout.columns
    if not columns.model_fields_set:
        return ""
    if layout.table in tables:
        return layout.table if _fits(header_of(folder / layout.table), columns) else ""
    fitting = [table for table in tables if _fits(header_of(folder / table), columns)]
    if len(fitting) > 1:
        raise DataError(
            f"{folder} must have one table with the columns of {layout.name}; dataset.toml names it as table. "
            f"Received: {', '.join(fitting)}"
        )
    return fitting[0] if fitting else ""


def _fits(header: list[str], columns: Columns) -> bool:
    if columns.findings:
        labelled = all(name in header for name in columns.findings.values())
    else:
        labelled = column_in(header, columns.label) is not None
    return labelled and column_in(header, columns.file) is not None


def tables_in(folder: DataPath) -> list[str]:
    """List the tables that lie in a folder itself."""
    if isinstance(folder, S3Path):
        return sorted(file.path for file in folder.files() if "/" not in file.path and is_table(file.path))
    return sorted(path.name for path in folder.iterdir() if is_table(path.name) and path.is_file())
