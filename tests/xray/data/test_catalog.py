"""The catalog, named by its content."""

from pathlib import Path

import pandas as pd
import pytest

from xray.data.catalog import COLUMNS, Catalog, write_catalog
from xray.data.sources.metadata import REJECT_COLUMNS
from xray.errors import DamagedError
from xray.files.artifact_folder import digests_of


@pytest.fixture
def rows() -> pd.DataFrame:
    table = pd.DataFrame({name: [f"{name}-{place}" for place in (2, 0, 1)] for name in COLUMNS})
    return table.assign(width=224, height=200, fold=[0, 1, -1], split=["validation", "train", "test"], extra="not kept")


REJECTS = pd.DataFrame([["a.png", "train/a.png", "no-row", ""]], columns=REJECT_COLUMNS)


def test_what_was_written_is_read_back_in_order(rows: pd.DataFrame, tmp_path: Path) -> None:
    catalog = write_catalog(rows, REJECTS, {"notes": ["é"]}, tmp_path, tmp_path / "prepared")
    assert catalog.rows().columns.tolist() == COLUMNS
    assert catalog.rows()["image_id"].tolist() == ["image_id-0", "image_id-1", "image_id-2"]
    assert catalog.rows("train")["split"].tolist() == ["train"]
    assert catalog.rejects().to_numpy().tolist() == REJECTS.to_numpy().tolist()
    assert catalog.findings() == {"notes": ["é"]}
    assert catalog.folder.name == catalog.digest


def test_the_same_content_is_the_same_folder_whatever_the_order(rows: pd.DataFrame, tmp_path: Path) -> None:
    first = write_catalog(rows, REJECTS, {}, tmp_path, tmp_path / "prepared")
    again = write_catalog(rows[::-1], REJECTS, {}, tmp_path, tmp_path / "prepared")
    assert (first.reused, again.reused) == (False, True)
    assert again.folder == first.folder


@pytest.mark.parametrize("column", COLUMNS)
def test_another_value_is_another_folder(rows: pd.DataFrame, tmp_path: Path, column: str) -> None:
    first = write_catalog(rows, REJECTS, {}, tmp_path, tmp_path / "prepared")
    values = [7, 8, 9] if rows[column].dtype == int else ["x", "y", "z"]
    changed = rows.assign(**{column: values})
    assert write_catalog(changed, REJECTS, {}, tmp_path, tmp_path / "prepared").digest != first.digest


class TestDamaged:
    """A catalog's name is the digest of its content."""

    @staticmethod
    def move(catalog: Catalog) -> None:
        """Put a scan into another split, in a file that reads well."""
        path = catalog.folder / "catalog.parquet"
        table = pd.read_parquet(path)
        table.loc[0, "split"] = "validation"
        table.to_parquet(path, index=False)

    @pytest.mark.parametrize("version", ["this", "earlier"])
    def test_a_scan_that_was_moved_is_never_believed(self, rows: pd.DataFrame, tmp_path: Path, version: str) -> None:
        whole = write_catalog(rows, REJECTS, {}, tmp_path, tmp_path / "prepared")
        expected = whole.rows()
        if version == "earlier":  # its manifests list no digests
            (whole.folder / "manifest.json").write_text("{}")
        self.move(whole)
        with pytest.raises(DamagedError, match="must be unchanged since it was written"):
            whole.rows()
        again = write_catalog(rows, REJECTS, {}, tmp_path, tmp_path / "prepared")
        assert (again.folder, again.reused) == (whole.folder, False)
        pd.testing.assert_frame_equal(again.rows(), expected)
        assert (tmp_path / "prepared" / f"{whole.digest}.damaged").is_dir()

    def test_one_of_an_earlier_version_is_proved_by_its_content(self, rows: pd.DataFrame, tmp_path: Path) -> None:
        whole = write_catalog(rows, REJECTS, {"a": [1.5, None, "é"]}, tmp_path, tmp_path / "prepared")
        (whole.folder / "manifest.json").write_text("{}")
        assert whole.rows()["image_id"].tolist() == ["image_id-0", "image_id-1", "image_id-2"]
        assert set(digests_of(whole.folder)) == {"catalog.parquet", "rejects.parquet", "audit.json"}
