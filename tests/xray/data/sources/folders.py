"""Folders of files without content, for readers that look at names alone."""

from pathlib import Path


def lay_out(folder: Path, files: list[str]) -> Path:
    """Make a folder with these files, posix paths below it."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder
