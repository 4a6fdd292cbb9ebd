"""Several data folders as one data set: each is read by itself, and keeps its name as the scans' source."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from xray.data.sources.metadata import Metadata
from xray.data.sources.read_source import Source, read_as, read_source, source_at
from xray.errors import DataError
from xray.files.s3 import DataPath, S3Path


def read_sources(folders: Sequence[DataPath]) -> tuple[DataPath, list[Metadata]]:
    """Read data folders, each whatever its layout.

    Args:
        folders: At least one; all on disk, or all in one bucket.

    Returns:
        The folder that every `path` is relative to, and what each folder holds. Of several folders each has its own
        `source`, patients of different folders are different people, and `image_id` names the folder where names
        would be the same.

    Raises:
        DataError: One cannot be read, one is named twice or lies in another one, or they have no place in common.
        S3Error: The server cannot be reached or refuses.
    """
    if len(folders) == 1:
        return folders[0], [read_source(folders[0])]
    root, prefixes = _common(folders)
    sources = [source_at(folder) for folder in folders]
    names = _names(folders, sources)
    read = [
        _within(read_as(source, folder), prefix, name)
        for source, folder, prefix, name in zip(sources, folders, prefixes, names, strict=True)
    ]
    often = Counter(name for each in read for name in each.rows["image_id"])
    return root, [_told_apart(each, name, often) for each, name in zip(read, names, strict=True)]


def joined(read: Sequence[Metadata]) -> Metadata:
    """Put what several folders hold into one; a column that a folder does not say is empty in its rows."""
    rows = pd.concat([each.rows for each in read], ignore_index=True)
    rejects = pd.concat([each.rejects for each in read], ignore_index=True)
    notes = [note for each in read for note in each.notes]
    return Metadata(rows.fillna(""), rejects, notes, any(each.private for each in read))


def _common(folders: Sequence[DataPath]) -> tuple[DataPath, list[str]]:
    """Find the folder that all lie in, and each one's path in it."""
    at_servers = [folder for folder in folders if isinstance(folder, S3Path)]
    on_disk = [folder.resolve() for folder in folders if isinstance(folder, Path)]
    if at_servers and (on_disk or len({folder.bucket for folder in at_servers}) > 1):
        raise DataError(f"data folders must all be on disk, or all in one bucket. Received: {_listed(folders)}")
    keys = [folder.key for folder in at_servers] if at_servers else [str(folder) for folder in on_disk]
    if any(f"{a}/".startswith(f"{b}/") or not b for i, a in enumerate(keys) for j, b in enumerate(keys) if i != j):
        raise DataError(f"no data folder may lie in another one. Received: {_listed(folders)}")
    if at_servers:
        common = os.path.commonpath([f"/{key}" for key in keys]).strip("/")
        root: DataPath = replace(at_servers[0], key=common)
    else:
        common = os.path.commonpath(keys)
        root = Path(common)
    return root, [key.removeprefix(common).strip("/") for key in keys]


def _names(folders: Sequence[DataPath], sources: Sequence[Source]) -> list[str]:
    """Name each folder's source: as its `dataset.toml` does, else by its own name; numbered where two are the same."""
    said = []
    for folder, source in zip(folders, sources, strict=True):
        own = "" if source.dataset is None else source.dataset.name
        said.append(own or ("coronahack" if source.is_coronahack else folder.name))
    often, names = Counter(said), list[str]()
    for name in said:
        numbers = (f"{name}-{number}" for number in range(1, len(said) + 2))
        names.append(name if often[name] == 1 else next(each for each in numbers if each not in {*said, *names}))
    return names


def _within(metadata: Metadata, prefix: str, name: str) -> Metadata:
    rows = metadata.rows.assign(source=name)
    rows["path"] = f"{prefix}/" + rows["path"]
    rows["patient_id"] = [patient and f"{name}:{patient}" for patient in rows["patient_id"]]
    rejects = metadata.rejects.assign(path=f"{prefix}/" + metadata.rejects["path"])
    if not (rows["official"] == "test").any():  # TEST is drawn from each folder that has none
        rows["official"] = rows["official"].replace("train", "")
    notes = [f"{name}: {note}" for note in metadata.notes]
    return replace(metadata, rows=rows, rejects=rejects, notes=notes, folder=prefix)


def _told_apart(metadata: Metadata, name: str, often: Counter[str]) -> Metadata:
    rows = metadata.rows
    names = [f"{name}/{each}" if often[each] > 1 else each for each in rows["image_id"]]
    return replace(metadata, rows=rows.assign(image_id=names))


def _listed(folders: Sequence[DataPath]) -> str:
    return ", ".join(map(str, folders))
