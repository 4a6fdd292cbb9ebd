"""SHA-256 of files, remembered by path, size and time of change."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from xray.data import file_digests as digests
from xray.data.file_digests import CHUNK, file_digests, forget
from xray.errors import StoreError
from xray.files.s3 import S3Path

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of `abc`, from FIPS 180-2."""
LONG_AGO = 1_600_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "train").mkdir(parents=True)
    for name, content in (("a", b"abc"), ("b", b"abd")):
        (tmp_path / "data" / "train" / name).write_bytes(content)
        os.utime(tmp_path / "data" / "train" / name, (LONG_AGO, LONG_AGO))
    return tmp_path / "data"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "store" / "digests.parquet"


def test_digests_are_those_of_the_bytes(folder: Path, index: Path) -> None:
    found = file_digests(folder, ["train/b", "train/a"], index)
    assert list(found) == ["train/b", "train/a"]
    assert found["train/a"] == ABC


def test_many_files_keep_their_order_whatever_a_thread_is_handed_at_a_time(folder: Path, index: Path) -> None:
    paths = [f"train/{number:03d}" for number in range(2 * CHUNK + 3)]
    for path in paths:
        (folder / path).write_bytes(path.encode())
    expected = {path: hashlib.sha256(path.encode()).hexdigest() for path in paths}
    with_a_gap = [*paths[:CHUNK], "train/gone", *paths[CHUNK:]]
    assert list(file_digests(folder, with_a_gap, index).items()) == list(expected.items())


def test_a_thread_is_handed_a_chunk_of_files(folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[int] = []

    def digest_none(base: str, known: dict, paths: Sequence[str]) -> list[str]:
        handed.append(len(paths))
        return ["not now"] * len(paths)

    monkeypatch.setattr(digests, "_digest_files", digest_none)
    file_digests(folder, [f"train/{number}" for number in range(CHUNK + 1)], index)
    assert sorted(handed) == [1, CHUNK]


def test_an_unchanged_file_is_not_read_again(folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = file_digests(folder, ["train/a"], index)
    monkeypatch.setattr(digests, "stream_sha256", lambda file: pytest.fail("it was read"))
    assert file_digests(folder, ["train/a"], index) == first


def test_names_that_were_swapped_and_times_that_were_set_back_are_noticed(folder: Path, index: Path) -> None:
    first = file_digests(folder, ["train/a", "train/b"], index)
    a, b, c = (folder / "train" / name for name in "abc")
    a.rename(c)
    b.rename(a)
    c.rename(b)
    second = file_digests(folder, ["train/a", "train/b"], index)
    assert second == {"train/a": first["train/b"], "train/b": first["train/a"]}
    a.write_bytes(b"xyz")
    os.utime(a, (LONG_AGO, LONG_AGO))
    assert file_digests(folder, ["train/a"], index) == {"train/a": hashlib.sha256(b"xyz").hexdigest()}


@pytest.mark.parametrize(("content", "when"), [(b"xyz", LONG_AGO + 1), (b"longer", LONG_AGO)])
def test_a_change_of_time_or_size_is_noticed(folder: Path, index: Path, content: bytes, when: int) -> None:
    file_digests(folder, ["train/a"], index)
    (folder / "train" / "a").write_bytes(content)
    os.utime(folder / "train" / "a", (when, when))
    assert file_digests(folder, ["train/a"], index) == {"train/a": hashlib.sha256(content).hexdigest()}


def test_a_file_changed_just_now_is_not_remembered(folder: Path, index: Path) -> None:
    path = folder / "train" / "a"
    path.write_bytes(b"xyz")
    now = path.stat().st_mtime_ns
    file_digests(folder, ["train/a"], index)
    path.write_bytes(b"abc")
    os.utime(path, ns=(now, now))
    assert file_digests(folder, ["train/a"], index) == {"train/a": ABC}


def test_an_unchanged_index_is_not_rewritten(folder: Path, index: Path) -> None:
    file_digests(folder, ["train/a"], index)
    before = index.stat().st_ino
    file_digests(folder, ["train/a"], index)
    assert index.stat().st_ino == before


def test_one_index_serves_two_folders(folder: Path, index: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c").write_bytes(b"abc")
    os.utime(tmp_path / "other" / "c", (LONG_AGO, LONG_AGO))
    file_digests(folder, ["train/a"], index)
    file_digests(tmp_path / "other", ["c"], index)
    assert sorted(Path(path).name for path in pd.read_parquet(index)["path"]) == ["a", "c"]


@pytest.mark.parametrize("content", [b"", b"PAR1 nonsense PAR1"])
def test_a_broken_index_is_made_anew(folder: Path, index: Path, content: bytes) -> None:
    index.parent.mkdir()
    index.write_bytes(content)
    assert file_digests(folder, ["train/a"], index) == {"train/a": ABC}
    assert len(pd.read_parquet(index)) == 1


@pytest.mark.parametrize("missing", ["train/gone", "train", "nul\0", "n" * 300])
def test_a_file_that_cannot_be_read_is_left_out(folder: Path, index: Path, missing: str) -> None:
    assert file_digests(folder, ["train/a", missing], index) == {"train/a": ABC}


def test_an_index_that_cannot_be_written_is_a_store_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(StoreError, match="index of digests could not be written"):
        file_digests(folder, ["train/a"], tmp_path / "store" / "digests.parquet")
    assert not list(tmp_path.glob("**/*.tmp-*"))


class TestAtAServer:
    @pytest.fixture
    def address(self, bucket: S3Path, monkeypatch: pytest.MonkeyPatch) -> S3Path:
        monkeypatch.setattr(digests, "SETTLED_NS", -60_000_000_000)  # as if written long ago
        for name, content in (("train/a", b"abc"), ("train/more/b", b"abd")):
            (bucket / "data" / name).write_bytes(content)
        return bucket / "data"

    def test_digests_are_those_of_the_bytes(self, address: S3Path, index: Path) -> None:
        found = file_digests(address, ["train/more/b", "train/a", "train/gone"], index)
        assert list(found) == ["train/more/b", "train/a"]
        assert found["train/a"] == ABC

    def test_an_unchanged_object_is_not_read_again(
        self, address: S3Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = file_digests(address, ["train/a", "train/more/b"], index)
        monkeypatch.delattr(S3Path, "read_bytes")
        assert file_digests(address, ["train/a", "train/more/b"], index) == first

    def test_another_size_is_noticed(self, address: S3Path, index: Path) -> None:
        file_digests(address, ["train/a"], index)
        (address / "train" / "a").write_bytes(b"longer")
        assert file_digests(address, ["train/a"], index) == {"train/a": hashlib.sha256(b"longer").hexdigest()}

    def test_an_object_written_just_now_is_not_remembered(
        self, address: S3Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(digests, "SETTLED_NS", 3_600_000_000_000)
        file_digests(address, ["train/a"], index)
        (address / "train" / "a").write_bytes(b"xyz")
        assert file_digests(address, ["train/a"], index) == {"train/a": hashlib.sha256(b"xyz").hexdigest()}

    def test_a_shared_index_holds_what_lies_at_servers_alone(
        self, address: S3Path, folder: Path, index: Path, tmp_path: Path
    ) -> None:
        file_digests(folder, ["train/a"], index)
        file_digests(address, ["train/a"], index, address.parent)
        (address.parent / digests.SHARED).download(tmp_path / "shared.parquet")
        assert pd.read_parquet(tmp_path / "shared.parquet")["path"].tolist() == [f"{address}/train/a"]

    @pytest.mark.parametrize("content", [b"", b"PAR1 nonsense PAR1"])
    def test_a_broken_shared_index_is_made_anew(
        self, address: S3Path, index: Path, tmp_path: Path, content: bytes
    ) -> None:
        (address.parent / digests.SHARED).write_bytes(content)
        assert file_digests(address, ["train/a"], index, address.parent) == {"train/a": ABC}
        (address.parent / digests.SHARED).download(tmp_path / "shared.parquet")
        assert len(pd.read_parquet(tmp_path / "shared.parquet")) == 1


class TestNotBelieved:
    """An index that is not what was written is made anew, and what proves to be wrong is forgotten."""

    def test_a_wrong_digest_of_another_hand(self, folder: Path, index: Path) -> None:
        paths = ["train/a", "train/b"]
        expected = file_digests(folder, paths, index)
        pd.read_parquet(index).assign(sha256="0" * 64).to_parquet(index, index=False)
        assert file_digests(folder, paths, index) == expected
        assert set(pd.read_parquet(index)["sha256"]) == set(expected.values())

    @pytest.mark.slow  # seconds
    def test_any_flipped_bit(self, folder: Path, index: Path) -> None:
        paths = ["train/a", "train/b"]
        expected = file_digests(folder, paths, index)
        content = index.read_bytes()
        for at in range(0, len(content), 5):
            index.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert file_digests(folder, paths, index) == expected, at

    def test_a_folder_is_forgotten_and_others_are_not(self, folder: Path, index: Path, tmp_path: Path) -> None:
        paths = ["train/a", "train/b"]
        other = Path(shutil.copytree(folder, tmp_path / "other"))
        for each in (folder, other):
            file_digests(each, paths, index)
        forget(folder, index)
        assert set(pd.read_parquet(index)["path"]) == {str(other.resolve() / path) for path in paths}


def test_of_a_private_folder_no_name_is_logged_or_shared(
    index: Path, bucket: S3Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SETTLED_NS", -60_000_000_000)  # what was written just now is remembered, too
    (bucket / "private" / "SMITH.dcm").write_bytes(b"abc")
    (bucket / "public" / "a.png").write_bytes(b"abd")
    file_digests(bucket / "private", ["SMITH.dcm", "JONES.dcm"], index, None, private=True)
    file_digests(bucket / "public", ["a.png"], index, bucket / "prepared")
    assert "JONES" not in caplog.text
    assert b"SMITH" not in (bucket / "prepared" / "digests.parquet").read_bytes()
