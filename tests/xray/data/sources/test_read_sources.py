"""Several folders as one data set."""

from pathlib import Path

import pytest

from tests.conftest import send
from xray.config import Workspace, load_config
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.sources.read_sources import joined, read_sources
from xray.errors import DataError
from xray.files.s3 import S3Path


def lay_out(folder: Path, patient: str, names: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    """Make a folder with a table of its own, of files of no content."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    rows = "".join(f"{name},normal,{patient}\n" for name in names)
    (folder / "metadata.csv").write_text(f"file_name,label,patient\n{rows}")
    return folder


def test_each_folder_is_a_source_and_its_patients_are_its_own(tmp_path: Path) -> None:
    folders = [lay_out(tmp_path / "x" / "north", "1"), lay_out(tmp_path / "y" / "south", "1", ("a.png", "c.png"))]
    root, read = read_sources(folders)
    rows = joined(read).rows
    assert root == tmp_path.resolve()
    assert rows[["image_id", "path", "source", "patient_id"]].to_numpy().tolist() == [
        ["north/a.png", "x/north/a.png", "north", "north:1"],
        ["b.png", "x/north/b.png", "north", "north:1"],
        ["south/a.png", "y/south/a.png", "south", "south:1"],
        ["c.png", "y/south/c.png", "south", "south:1"],
    ]


def test_folders_of_one_name_are_numbered(tmp_path: Path) -> None:
    read = read_sources([lay_out(tmp_path / "x" / "films", "1"), lay_out(tmp_path / "y" / "films", "1")])[1]
    assert [each.rows["source"].unique().tolist() for each in read] == [["films-1"], ["films-2"]]


def test_one_folder_is_read_as_ever(tmp_path: Path) -> None:
    root, (read,) = read_sources([lay_out(tmp_path / "north", "1")])
    assert root == tmp_path / "north"
    assert read.rows["source"].tolist() == ["table", "table"]


@pytest.mark.parametrize("second", ["north", "north/inner"])
def test_a_folder_named_twice_or_inside_another_is_refused(tmp_path: Path, second: str) -> None:
    lay_out(tmp_path / "north", "1")
    (tmp_path / "north" / "inner").mkdir()
    with pytest.raises(DataError, match="no data folder may lie in another one"):
        read_sources([tmp_path / "north", tmp_path / second])


def test_folders_in_a_bucket_are_read_too_and_not_mixed_with_a_disks(tmp_path: Path, bucket: S3Path) -> None:
    north, south = lay_out(tmp_path / "north", "1"), lay_out(tmp_path / "south", "2")
    there = [send(north, bucket / "one" / "north"), send(south, bucket / "one" / "south")]
    root, read = read_sources(there)
    assert root == bucket / "one"
    assert joined(read).rows["path"].tolist() == ["north/a.png", "north/b.png", "south/a.png", "south/b.png"]
    with pytest.raises(DataError, match="must all be on disk, or all in one bucket"):
        read_sources([north, there[1]])


def test_a_catalog_of_two_sources_has_a_test_of_each(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "north", scans=80, size=(64, 64))
    write_phantoms(tmp_path / "south", scans=80, seed=1, size=(64, 64), layout="table")
    workspace, config = Workspace(home=tmp_path / "home"), load_config("quick", ["images.height=32", "images.width=32"])
    cleaned = clean([tmp_path / "north", tmp_path / "south"], workspace)
    catalog = write_prepared(cleaned, normalize(cleaned, config, workspace).store, config, workspace)
    counted = catalog.rows().groupby("source")["split"].value_counts().unstack(fill_value=0)
    assert counted.index.tolist() == ["coronahack", "south"]
    assert (counted[["train", "validation", "test"]] > 0).all().all()
    (limit,) = catalog.findings()["limits"]
    assert limit.startswith("TEST is not official: 16 of 80 scans of south were drawn by patient")


def test_pictures_that_lie_in_several_sources_are_told_where_one_is_held_out(tmp_path: Path) -> None:
    for name in ("north", "south"):
        write_phantoms(tmp_path / name, scans=40, size=(64, 64), layout="table")
    settings = ["images.height=32", "images.width=32", "split.group_by=source", "split.folds=2"]
    workspace, config = Workspace(home=tmp_path / "home"), load_config("quick", settings)
    cleaned = clean([tmp_path / "north", tmp_path / "south"], workspace)
    catalog = write_prepared(cleaned, normalize(cleaned, config, workspace).store, config, workspace)
    said = "40 pictures lie in several sources, so a source that is held out is not all new"
    assert said in catalog.findings()["limits"]
