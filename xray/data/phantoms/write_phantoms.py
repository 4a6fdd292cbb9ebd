"""A synthetic data set, to try, to test and to show the pipeline without a real scan."""

import logging
import os
import shutil
from pathlib import Path

import pandas as pd

from xray.data.phantoms.dicom_layout import SOURCE
from xray.data.phantoms.layouts import CORONAHACK, LAYOUTS
from xray.data.phantoms.plan import MARK, QUARTER, phantoms
from xray.errors import DataError, StoreError, by_cause
from xray.files.atomic import draft_of
from xray.labels import NORMAL, PNEUMONIA
from xray.scheme_files import NAMED, is_name

logger = logging.getLogger(__name__)

FEWEST_SCANS = QUARTER
SIDES = (32, 4096)
"""Least and most width and height, in pixels."""


def write_phantoms(
    folder: Path,
    scans: int,
    seed: int = 0,
    size: tuple[int, int] = (224, 224),
    layout: str = "coronahack",
    finding: str = PNEUMONIA,
) -> None:
    """Write a phantom data set.

    The same arguments give the same bytes. Scans are written one by one, so memory stays flat; the set appears as
    a whole at the end, the metadata last.

    Args:
        folder: A new or an empty folder.
        scans: How many, at least `FEWEST_SCANS`; about 85 % of them TRAIN.
        seed: Of everything, 0 or more.
        size: Width and height in pixels, each within `SIDES`.
        layout: One of `LAYOUTS`.
        finding: What the scans that are not normal are called; CoronaHack's layout knows pneumonia alone.

    Raises:
        DataError: The folder is not empty, or a number is out of bounds.
        StoreError: The folder could not be written; what was begun is removed.

    Example:
        >>> write_phantoms(Path("phantoms"), scans=200, seed=0)
    """
    if scans < FEWEST_SCANS:
        raise DataError(f"scans must be at least {FEWEST_SCANS}. Received: scans={scans}")
    if layout not in LAYOUTS:
        raise DataError(f"layout must be one of {', '.join(LAYOUTS)}. Received: {layout}")
    if not is_name(finding) or finding == NORMAL or (layout == CORONAHACK and finding != PNEUMONIA):
        known = "pneumonia in the layout coronahack" if layout == CORONAHACK else f"{NAMED}, and not normal"
        raise DataError(f"finding must be {known}. Received: {finding}")
    if seed < 0:
        raise DataError(f"seed must be 0 or more. Received: seed={seed}")
    if not all(SIDES[0] <= side <= SIDES[1] for side in size):
        raise DataError(f"width and height must be {SIDES[0]} to {SIDES[1]} pixels. Received: {size[0]}x{size[1]}")
    # Inside the folder, for a mount point cannot be renamed over. What a killed process left there is removed.
    unfinished = draft_of(folder / "phantoms")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"phantoms need a new or empty folder. Received: {folder}")
    try:
        for name in LAYOUTS[layout](unfinished, phantoms(scans, seed, size), finding):
            os.replace(unfinished / name, folder / name)
        unfinished.rmdir()
    except OSError as error:
        raise by_cause(StoreError, f"phantoms could not be written to {folder}: {error.strerror}", error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    logger.info("wrote %d phantoms to %s", scans, folder)


def has_phantoms(rows: pd.DataFrame) -> bool:
    """Tell a data set with phantoms by its source, or by their names: each quarter holds one that says so.

    Args:
        rows: Of a catalog: image_id and source.
    """
    return bool((rows["source"] == SOURCE).any() or rows["image_id"].str.startswith(MARK).any())
