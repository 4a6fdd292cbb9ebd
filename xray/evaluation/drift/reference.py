"""The drift reference: image statistics and scores of the scans a model was made from, stored with its run.

A row bears no name and no digest: which split it is from, how it looks, and its score where the model did not learn
from it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xray import config
from xray.data.decoding.image_decoder import normalizer_digest
from xray.data.decoding.image_statistics import ImageStatistics, image_statistics
from xray.data.store.pixel_store import PixelStore
from xray.errors import StoreError
from xray.files.checked_io import reading
from xray.labels import finding_in, p_column

LOOKS = ("brightness", "contrast", "sharpness", "width", "height")
"""What is compared of a scan, before its score, in the order of tables and figures."""

FILE = "reference.parquet"
"""Its name, among an evaluation's files and a run's artifacts."""

_ABOUT = b"xray"


@dataclass(frozen=True)
class Reference:
    """The scans that a model was made from.

    Attributes:
        rows: `split`, `LOOKS` and `p_FINDING`, float64, a row a scan; `p_FINDING` is NaN where the split is train.
        images: The size and fit of the scans that were measured.
        normalizer: Digest of what made them.
    """

    rows: pd.DataFrame
    images: config.Images
    normalizer: str

    @property
    def score(self) -> str:
        """The column of scores, `p_FINDING`."""
        return p_column(finding_in(self.rows.columns))

    @property
    def features(self) -> tuple[str, ...]:
        """What is compared: `LOOKS` and the score."""
        return (*LOOKS, self.score)

    def values(self, feature: str) -> np.ndarray:
        """Give what new scans are compared with, float64 (n,): training scans, or validation scans for the score."""
        split = "validation" if feature == self.score else "train"
        return self.rows.loc[self.rows["split"] == split, feature].to_numpy()

    def test(self) -> pd.DataFrame:
        """Give the TEST scans' rows: they are known to differ, so a comparison has to find it."""
        return self.rows[self.rows["split"] == "test"]

    @classmethod
    def read(cls, path: Path) -> "Reference":
        """Read what `write_reference` wrote.

        Raises:
            DamagedError: It is missing or is none.
            StoreError: The disk does not give it.
        """
        with reading(path):
            try:
                table = pq.read_table(path, page_checksum_verification=True)
            except (pa.ArrowException, MemoryError) as error:
                raise ValueError(str(error)) from error
            about = json.loads(table.schema.metadata[_ABOUT])
            return cls(table.to_pandas(), config.Images(**about["images"]), about["normalizer"])


def write_reference(
    path: Path, rows: pd.DataFrame, scores: pd.DataFrame, store: PixelStore, images: config.Images
) -> None:
    """Measure every scan of a catalog and write the reference.

    Args:
        path: Where to.
        rows: The catalog's rows: sha256, split, width, height.
        scores: sha256 and p_FINDING of validation and TEST scans.
        store: The scans' pixels.
        images: Their size and fit.

    Raises:
        StoreError: The store does not hold every scan, or a shard cannot be read.
    """
    measured = _measured(set(rows["sha256"]), store)
    absent = set(rows["sha256"]) - set(measured)
    if absent:
        raise StoreError(f"{store.folder} must hold every scan of the catalog. Received: {len(absent)} missing scans")
    looks = pd.DataFrame([measured[digest] for digest in rows["sha256"]])
    column = p_column(finding_in(scores.columns))
    score = scores.drop_duplicates("sha256").set_index("sha256")[column]
    table = rows[["split", "width", "height"]].reset_index(drop=True).join(looks)
    table[column] = rows["sha256"].map(score).where(rows["split"] != "train").to_numpy()
    features = [*LOOKS, column]
    table = table.astype(dict.fromkeys(features, "float64"))[["split", *features]]
    about = {"images": images.model_dump(), "normalizer": normalizer_digest(images)}
    content = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(content.replace_schema_metadata({_ABOUT: json.dumps(about)}), path, write_page_checksum=True)


def _measured(wanted: set[str], store: PixelStore) -> dict[str, ImageStatistics]:
    """Measure scans, reading each row group once."""
    return {
        digest: image_statistics(pixels)
        for group in store.row_groups(wanted)
        for digest, pixels in zip(*store.read_row_group(group), strict=True)
        if digest in wanted
    }
