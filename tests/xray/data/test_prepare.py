"""From a folder of scans to a catalog and a pixel store."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import send
from xray.config import Config, Workspace, load_config
from xray.data import file_digests
from xray.data.catalog import Catalog
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.data.prepare import clean, normalize, write_prepared
from xray.data.sources.coronahack import METADATA_NAME, SUMMARY_NAME, read_coronahack
from xray.data.sources.read_source import read_source
from xray.errors import DataError
from xray.files.s3 import DataPath, S3Path

SMALL = ["images.height=32", "images.width=32"]


def prepare(data: DataPath, config: Config, home: Path, shared: S3Path | None = None) -> tuple[Catalog, int]:
    """Prepare a folder, and count the scans that were decoded."""
    workspace = Workspace(home=home, shared=shared)
    cleaned = clean(data, workspace)
    filled = normalize(cleaned, config, workspace)
    return write_prepared(cleaned, filled.store, config, workspace), filled.decoded


def files_below(folder: Path) -> dict[str, bytes]:
    """The content of every file below a folder, but for the locks."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def data(phantoms: Path, tmp_path: Path) -> Path:
    """A copy of the phantoms to change."""
    return Path(shutil.copytree(phantoms, tmp_path / "data"))


def test_a_second_run_decodes_nothing_and_finds_the_same_catalog(phantoms: Path, tmp_path: Path) -> None:
    first, decoded = prepare(phantoms, load_config("quick", SMALL), tmp_path)
    again, decoded_again = prepare(phantoms, load_config("quick", SMALL), tmp_path)
    assert (decoded, decoded_again) == (240, 0)
    assert (first.reused, again.reused) == (False, True)
    assert again.digest == first.digest


@pytest.mark.parametrize("setting", ["split.seed=1", "split.validation_fold=2", "split.group_by=none"])
def test_another_split_decodes_nothing(phantoms: Path, tmp_path: Path, setting: str) -> None:
    first, _ = prepare(phantoms, load_config("quick", SMALL), tmp_path)
    other, decoded = prepare(phantoms, load_config("quick", [*SMALL, setting]), tmp_path)
    assert decoded == 0
    assert other.digest != first.digest


def test_odd_files_are_rejects_with_their_reasons(data: Path, tmp_path: Path) -> None:
    train = data / "train"
    names = [row.split(",")[1] for row in (data / METADATA_NAME).read_text().splitlines() if ",TRAIN," in row][:4]
    for name in names:
        (train / name).unlink()
    os.truncate(os.open(train / names[0], os.O_CREAT | os.O_WRONLY), 3_000_000_000)
    os.mkfifo(train / names[1])
    (train / names[2]).symlink_to(names[2])
    (train / names[3]).write_bytes(b"\xff\xd8\xff\xe0" + bytes(50_000_000))
    (train / os.fsdecode(b"r\xf6ntgen\n.jpeg")).write_bytes(b"scan")
    (train / "loop").symlink_to("loop")
    catalog, _ = prepare(data, load_config("quick", SMALL), tmp_path / "home")
    rejects = catalog.rejects().set_index("image_id")
    assert rejects["reason"].to_dict() == {
        names[0]: "too-large",
        names[1]: "unreadable",
        names[2]: "unreadable",
        names[3]: "unreadable",
        r"r\xf6ntgen\x0a.jpeg": "no-row",
        "loop": "unreadable",
    }
    assert rejects["detail"][names[0]] == "a scan must have at most 134,217,728 bytes. Received: 3,000,000,000"
    assert len(catalog.rows()) == 240 - 4


def test_another_size_lies_beside_the_first(phantoms: Path, tmp_path: Path) -> None:
    prepare(phantoms, load_config("quick", SMALL), tmp_path)
    _, decoded = prepare(phantoms, load_config("quick", ["images.height=48", "images.width=32"]), tmp_path)
    assert decoded == 240
    assert len(list(Workspace(home=tmp_path).pixels.iterdir())) == 2


def test_the_catalog_does_not_depend_on_the_stored_size(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", scans=80, seed=0, size=(256, 192))
    train = sorted((tmp_path / "data" / "train").iterdir())
    commented = b"\xff\xd8\xff\xfe\x00\x07again" + train[0].read_bytes()[2:]
    train[1].write_bytes(commented)  # the same pixels in other bytes
    sizes = [["images.height=32", "images.width=32"], ["images.height=150", "images.width=150"]]  # a quarter, and whole
    catalogs = [prepare(tmp_path / "data", load_config("quick", size), tmp_path)[0] for size in sizes]
    assert catalogs[0].digest == catalogs[1].digest
    assert catalogs[0].findings()["identical_pixels"]["files"] == 2


def test_a_broken_scan_is_rejected_with_the_reason_and_stops_nothing(data: Path, tmp_path: Path) -> None:
    scans = sorted((data / "train").iterdir())
    scans[0].write_bytes(b"")
    scans[1].write_bytes(scans[1].read_bytes()[:500])
    scans[2].write_text("<html>404</html>")
    catalog, decoded = prepare(data, load_config("quick", SMALL), tmp_path)
    reasons = catalog.rejects().set_index("image_id")["reason"]
    assert decoded == 240
    assert {scan.name: reasons[scan.name] for scan in scans[:3]} == {
        scans[0].name: "not-an-image",
        scans[1].name: "unreadable",
        scans[2].name: "not-an-image",
    }
    assert len(catalog.rows()) == 237


def test_a_scan_that_is_also_a_test_scan_is_kept_out_of_training(data: Path, tmp_path: Path) -> None:
    metadata = pd.read_csv(data / "Chest_xray_Corona_Metadata.csv")
    normal = metadata[metadata["Label"] == "Normal"]
    train, test = (normal[normal["Dataset_type"] == name]["X_ray_image_name"].iloc[0] for name in ("TRAIN", "TEST"))
    shutil.copyfile(data / "test" / test, data / "train" / train)
    catalog, _ = prepare(data, load_config("quick", SMALL), tmp_path)
    rejects = catalog.rejects().set_index("image_id")["reason"]
    assert rejects[train] == "duplicate-of-test"
    assert test in set(catalog.rows("test")["image_id"])


@pytest.mark.real_data
@pytest.mark.slow  # seconds
def test_the_real_scans_give_the_known_counts(real_scans: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"at most 5% .* --set scans.most_missing=0.06 goes on .* Received: 320 of 5,910"
    ):
        prepare(real_scans, load_config("quick", SMALL), tmp_path)
    catalog, _ = prepare(real_scans, load_config("quick", [*SMALL, "scans.most_missing=0.06"]), tmp_path)
    rows = catalog.rows()
    assert (rows["split"] != "test").sum() == 5282
    assert (rows["split"] == "test").sum() == 308
    assert catalog.rejects()["reason"].value_counts().to_dict() == {"no-file": 320, "no-row": 23}
    assert rows[rows["split"] == "test"]["label"].value_counts().to_dict() == {"pneumonia": 181, "normal": 127}
    train = rows[rows["split"] != "test"]
    assert (train.groupby("patient_id")["split"].nunique() == 1).all()
    assert (train.groupby("pixels_sha256")["split"].nunique() == 1).all()
    identical = catalog.findings()["identical_pixels"]
    assert (identical["files"], identical["groups"], identical["crossing_groups"]) == (56, 27, 0)


class TestTheSameScansInAnotherLayout:
    """Give the same pixels, byte for byte, and the same folds."""

    def test_class_folders_give_the_same_pixels(self, phantoms: Path, tmp_path: Path) -> None:
        for row in read_coronahack(phantoms).rows.itertuples():
            place = tmp_path / "data" / "Chest" / row.official / row.label.upper() / row.image_id
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(phantoms / row.path, place)
        config = load_config("quick", SMALL)
        whole, _ = prepare(phantoms, config, tmp_path / "coronahack")
        copied, _ = prepare(tmp_path / "data", config, tmp_path / "folders")
        pixels = Path("data", "pixels")
        assert files_below(tmp_path / "folders" / pixels) == files_below(tmp_path / "coronahack" / pixels)
        assert set(copied.rows()["sha256"]) == set(whole.rows()["sha256"])

    def test_a_table_with_causes_patients_and_splits_gives_the_same_folds(self, data: Path, tmp_path: Path) -> None:
        whole, _ = prepare(data, load_config("quick", SMALL), tmp_path / "coronahack")
        names = {"path": "file_name", "subtype": "cause", "patient_id": "patient", "official": "split"}
        table = read_coronahack(data).rows.rename(columns=names)
        (data / METADATA_NAME).unlink()
        (data / SUMMARY_NAME).unlink()
        wanted = ["file_name", "label", "cause", "patient", "split"]
        table[wanted].sample(frac=1, random_state=0).to_csv(data / "metadata.csv", index=False)
        told, _ = prepare(data, load_config("quick", SMALL), tmp_path / "table")
        same = ["image_id", "path", "sha256", "label", "subtype", "patient_id", "split", "fold"]
        pd.testing.assert_frame_equal(told.rows()[same], whole.rows()[same])


class TestAtAServer:
    @pytest.fixture(scope="class")
    def phantoms(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Fewer than elsewhere: each is a request of its own to the server, several times."""
        folder = tmp_path_factory.mktemp("few") / "data"
        write_phantoms(folder, scans=80, seed=0, size=(64, 64))
        return folder

    def test_what_is_prepared_is_the_same_as_from_disk(self, phantoms: Path, bucket: S3Path, tmp_path: Path) -> None:
        address = send(phantoms, bucket / "data")
        config = load_config("quick", SMALL)
        on_disk, _ = prepare(phantoms, config, tmp_path / "disk")
        there, decoded = prepare(address, config, tmp_path / "s3")
        assert decoded == 80
        assert there.digest == on_disk.digest
        for below in ("cleaned", "pixels", "prepared"):
            first, second = (files_below(getattr(Workspace(home=tmp_path / home), below)) for home in ("disk", "s3"))
            assert first == second
            assert first

    def test_a_second_home_reads_and_decodes_no_scan(
        self, phantoms: Path, bucket: S3Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_digests, "SETTLED_NS", -60_000_000_000)  # as if written long ago
        address, config = send(phantoms, bucket / "data"), load_config("quick", SMALL)
        first, _ = prepare(address, config, tmp_path / "first", bucket / "shared")
        read: list[str] = []
        straight = S3Path.read_bytes

        def noted(path: S3Path) -> bytes:
            read.append(path.name)
            return straight(path)

        monkeypatch.setattr(S3Path, "read_bytes", noted)
        second, decoded = prepare(address, config, tmp_path / "second", bucket / "shared")
        assert (second.digest, decoded) == (first.digest, 0)
        assert [name for name in read if name.endswith(("jpeg", "png"))] == []
        assert {file.path for file in (bucket / "shared" / "prepared" / first.digest).files()} == {
            path.name for path in first.folder.iterdir()
        }

    def test_a_scan_that_changes_or_goes_under_way_is_named(
        self, phantoms: Path, bucket: S3Path, tmp_path: Path
    ) -> None:
        address, config, workspace = send(phantoms, bucket), load_config("quick", SMALL), Workspace(home=tmp_path)
        cleaned = clean(address, workspace)
        scan = bucket / cleaned.rows()["path"][0]
        scan.write_bytes(b"another")
        with pytest.raises(DataError, match=rf"scans must not change during preparation.* Received: {scan}$"):
            normalize(cleaned, config, workspace)
        import boto3

        boto3.client("s3").delete_object(Bucket=scan.bucket, Key=scan.key)
        with pytest.raises(
            DataError, match=rf"every scan must be readable. Received: {scan}: No such file or directory$"
        ):
            normalize(cleaned, config, workspace)


def test_a_broken_summary_is_told_without_the_folder(data: Path, tmp_path: Path) -> None:
    (data / SUMMARY_NAME).write_bytes(b"\xff")
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    first, second = (clean(folder, Workspace(home=tmp_path)) for folder in (data, moved))
    assert first.digest == second.digest
    assert "must be UTF-8" in first.notes()[0]


@pytest.mark.parametrize(
    ("layout", "words"),
    [("table", "1 of 1 rows names no file"), ("folders", "2 of 2 scans elsewhere")],
)
def test_what_cannot_be_read_is_told_without_names_where_errors_are_kept(
    tmp_path: Path, layout: str, words: str
) -> None:
    scans = tmp_path / "scans"
    for name in ("SMITH_JOHN/a.png", "SMITH_JOHN/b.png"):
        (scans / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((40, 40), np.uint8)).save(scans / name)
    if layout == "table":
        (scans / "metadata.csv").write_text("file_name,label\nSMITH_JANE.png,normal\n")
    with pytest.raises(DataError, match="SMITH"):
        read_source(scans)
    with pytest.raises(DataError, match=words) as kept:
        clean(scans, Workspace(home=tmp_path))
    assert "SMITH" not in str(kept.value)
