"""Nobody's name leaves a private source: digests stand for scans and patients, and folds do not depend on the key."""

import stat
from pathlib import Path

import pandas as pd
import pytest

from xray.config import Config, Workspace, load_config
from xray.data.catalog import Catalog
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.privacy import KEY, NAMES, hide, is_hidden, names_kept, paths_of, patient_key
from xray.errors import ChangedError, DataError, StoreError

PLANTED = ("PHANTOM-0", "Phantom^Person", "IMG0", "202001", "202002")
"""What the phantoms' tags and file names say of people."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "data"
    write_phantoms(folder, scans=80, size=(64, 64), layout="dicom")
    return folder


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config("quick", ["images.height=32", "images.width=32", "split.folds=3"])


def prepared(films: Path, config: Config, home: Path) -> Catalog:
    workspace = Workspace(home=home)
    cleaned = clean(films, workspace)
    store = normalize(cleaned, config, workspace).store
    return write_prepared(cleaned, store, config, workspace)


def test_a_catalog_of_a_private_source_names_nobody(films: Path, config: Config, tmp_path: Path) -> None:
    catalog = prepared(films, config, tmp_path)
    rows = catalog.rows()
    written = rows.to_csv() + catalog.rejects().to_csv() + (catalog.folder / "audit.json").read_text()
    assert [word for word in PLANTED if word in written] == []
    assert rows["image_id"].equals(rows["sha256"].str[:16])
    assert rows["path"].equals(rows["image_id"])
    assert rows["patient_id"].str.fullmatch("patient-[0-9a-f]{16}").all()


def test_the_names_lead_back_and_are_their_owners_alone(films: Path, config: Config, tmp_path: Path) -> None:
    rows = prepared(films, config, tmp_path).rows()
    workspace = Workspace(home=tmp_path)
    assert all((films / path).is_file() for path in paths_of(rows["path"], workspace, films))
    assert stat.S_IMODE((workspace.private / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((workspace.private / NAMES).stat().st_mode) == 0o600
    assert stat.S_IMODE(workspace.private.stat().st_mode) == 0o700


def test_two_keys_give_other_names_and_the_same_folds(films: Path, config: Config, tmp_path: Path) -> None:
    first, second = (prepared(films, config, tmp_path / name).rows() for name in ("a", "b"))
    assert set(first["patient_id"]).isdisjoint(second["patient_id"])
    same = ["image_id", "sha256", "label", "split", "fold"]
    pd.testing.assert_frame_equal(first[same], second[same])
    assert first.groupby("patient_id").ngroup().nunique() == second["patient_id"].nunique()


def test_the_key_stays_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(home=tmp_path)
    assert patient_key(workspace) == patient_key(workspace)
    (workspace.private / KEY).write_text("no key")
    with pytest.raises(StoreError, match="must be a key of 64 hexadecimal digits"):
        patient_key(workspace)


def test_names_that_are_not_known_stay(tmp_path: Path) -> None:
    names = pd.Series(["train/a.jpeg"], dtype="str")
    assert paths_of(names, Workspace(home=tmp_path), tmp_path).equals(names)


def test_dates_keep_their_month_and_copies_their_own_name(tmp_path: Path) -> None:
    rows = pd.DataFrame({
        "image_id": ["SMITH.png", "JONES.png"], "path": ["a/SMITH.png", "a/JONES.png"], "patient_id": ["1", ""],
        "sha256": ["ab" * 32, "ab" * 32], "date": ["2024-03-17 10:22", "unknown"],
    })  # fmt: skip
    rejects = pd.DataFrame({"image_id": ["X"], "path": ["a/X"], "reason": ["no-row"], "detail": ["line 3: X"]})
    workspace = Workspace(home=tmp_path)
    hidden, gone = hide(rows, rejects, workspace, tmp_path)
    assert hidden["date"].tolist() == ["2024-03", ""]
    assert hidden["image_id"].tolist() == ["ab" * 8, f"{'ab' * 8}-2"]
    assert is_hidden(hidden).all()
    assert paths_of(hidden["image_id"], workspace, tmp_path).tolist() == rows["path"].tolist()
    assert "X" not in gone.to_csv(index=False, header=False).replace("file-", "")


def test_an_errors_words_name_no_file_of_a_private_source(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"image_id": ["ab" * 8, "b.png"], "path": ["a/SMITH.png", "b.png"], "sha256": ["ab" * 32, "cd" * 32]}
    )
    with pytest.raises(DataError) as caught, names_kept(rows, tmp_path):
        raise ChangedError(f"scans must not change. Received: {tmp_path / 'a' / 'SMITH.png'}")
    assert type(caught.value) is ChangedError
    assert str(caught.value) == f"scans must not change. Received: {'ab' * 8}"
    with pytest.raises(DataError, match=r"Received: b\.png"), names_kept(rows, tmp_path):
        raise DataError("Received: b.png")
