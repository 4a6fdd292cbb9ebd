"""Each scan is decoded once; shards never change; what is broken is noticed and made again."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from xray.config import Images
from xray.data.decoding.image_decoder import normalize, normalizer_digest
from xray.data.store import fill_pixel_store
from xray.data.store.fill_pixel_store import PixelStore, fill
from xray.errors import DataError, StoreError

PROJECT = Path(__file__).parents[4]
SMALL = Images(height=32, width=40)


def write_scan(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (36, 44), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def contents(store: PixelStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.folder.iterdir()) if path.name != ".lock"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 100 scans and two files that are none. Read only."""
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(100):
        write_scan(folder / f"{seed:03}.png", seed)
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpeg").write_text("<html>", encoding="utf-8")
    return folder


@pytest.fixture
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four shards of two row groups, and a last one, where 100 scans would make one of one."""
    monkeypatch.setattr(fill_pixel_store, "SHARD_ROWS", 24)
    monkeypatch.setattr(fill_pixel_store, "ROW_GROUP_ROWS", 12)


@pytest.fixture
def copied(scans: Path, tmp_path: Path) -> Path:
    """The scans in a folder of the test's own."""
    return Path(shutil.copytree(scans, tmp_path / "copied"))


class TestContent:
    def test_the_store_holds_what_normalizing_gives(self, scans: Path, tmp_path: Path) -> None:
        of_path = digests(scans)
        store = fill(scans, of_path, SMALL, tmp_path).store
        expected = normalize((scans / "007.png").read_bytes(), SMALL)
        np.testing.assert_array_equal(store.read([of_path["007.png"]])[0], expected.pixels)
        fact = store.facts.set_index("sha256").loc[of_path["007.png"]]
        assert tuple(fact) == (44, 36, expected.pixels_sha256, "none")
        assert (store.height, store.width) == (32, 40)
        assert (store.folder, store.digest) == (tmp_path / normalizer_digest(SMALL), normalizer_digest(SMALL))

    @pytest.mark.usefixtures("many_shards")
    def test_scans_are_read_in_the_order_asked_for(self, scans: Path, tmp_path: Path) -> None:
        of_path = digests(scans)
        store = fill(scans, of_path, SMALL, tmp_path).store
        names = ["042.png", "007.png", "099.png", "007.png"]
        pixels = store.read([of_path[name] for name in names])
        for name, scan in zip(names, pixels, strict=True):
            np.testing.assert_array_equal(scan, normalize((scans / name).read_bytes(), SMALL).pixels)
        assert store.read([]).shape == (0, 32, 40)

    @pytest.mark.usefixtures("many_shards")
    def test_streaming_gives_every_wanted_scan_once(self, scans: Path, tmp_path: Path) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        groups = store.row_groups()
        assert sum(group.rows for group in groups) == 100
        streamed = [store.read_row_group(group) for group in groups]
        assert sorted(digest for names, _ in streamed for digest in names) == store.facts["sha256"].tolist()
        names, pixels = streamed[0]
        np.testing.assert_array_equal(store.read(names), pixels)

    @pytest.mark.usefixtures("many_shards")
    def test_row_groups_without_a_wanted_scan_are_left_out(self, scans: Path, tmp_path: Path) -> None:
        of_path = digests(scans)
        store = fill(scans, of_path, SMALL, tmp_path).store
        (group,) = store.row_groups({of_path["003.png"]})
        assert group.rows == 1
        assert of_path["003.png"] in store.read_row_group(group)[0]

    def test_files_with_the_same_bytes_are_decoded_once(self, copied: Path, tmp_path: Path) -> None:
        shutil.copy(copied / "000.png", copied / "again.png")
        filled = fill(copied, digests(copied), SMALL, tmp_path)
        assert (filled.decoded, len(filled.store.facts)) == (102, 100)

    def test_files_that_are_no_scans_are_kept_as_rejects(self, scans: Path, tmp_path: Path) -> None:
        of_path = digests(scans)
        rejects = fill(scans, of_path, SMALL, tmp_path).store.rejects.set_index("sha256")
        assert rejects.loc[of_path["empty.png"], "reason"] == "not-an-image"
        assert "an HTML page" in str(rejects.loc[of_path["page.jpeg"], "detail"])

    def test_a_folder_without_scans_makes_an_empty_store(self, tmp_path: Path) -> None:
        store = fill(tmp_path, {}, SMALL, tmp_path).store
        assert list(PixelStore.open(store.folder).facts.columns) == list(store.facts.columns)
        assert store.row_groups() == []

    def test_large_scans_lie_in_small_row_groups(
        self, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fill_pixel_store, "ROW_GROUP_BYTES", 5 * 32 * 40)
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        assert max(group.rows for group in store.row_groups()) == 5


class TestReuse:
    def test_a_second_run_decodes_nothing(self, scans: Path, tmp_path: Path) -> None:
        first = fill(scans, digests(scans), SMALL, tmp_path)
        before = contents(first.store)
        second = fill(scans, digests(scans), SMALL, tmp_path)
        assert (first.decoded, first.reused, second.decoded, second.reused) == (102, 0, 0, 102)
        assert contents(second.store) == before

    @pytest.mark.usefixtures("many_shards")
    def test_new_scans_are_decoded_alone_into_new_shards(self, copied: Path, tmp_path: Path) -> None:
        before = contents(fill(copied, digests(copied), SMALL, tmp_path).store)
        write_scan(copied / "new.png", seed=1000)
        filled = fill(copied, digests(copied), SMALL, tmp_path)
        assert (filled.decoded, filled.reused) == (1, 102)
        after = contents(filled.store)
        assert {name: after[name] for name in before if name != "manifest.json"} == {
            name: data for name, data in before.items() if name != "manifest.json"
        }
        assert len(after) == len(before) + 1

    def test_each_normalizer_has_a_store_of_its_own(self, scans: Path, tmp_path: Path) -> None:
        stores = [
            fill(scans, digests(scans), Images(height=32, width=32, fit=fit), tmp_path).store
            for fit in ("stretch", "pad")
        ]
        assert stores[0].folder != stores[1].folder

    def test_progress_reaches_the_total(self, scans: Path, tmp_path: Path) -> None:
        told: list[tuple[int, int]] = []
        fill(scans, digests(scans), SMALL, tmp_path, workers=1, progress=lambda done, total: told.append((done, total)))
        assert [total for _, total in told] == [102] * len(told)
        done = [done for done, _ in told]
        assert done == sorted(set(done))
        assert (len(done) > 3, done[-1]) == (True, 102)


@pytest.mark.usefixtures("many_shards")
class TestSameBytes:
    def test_whatever_the_number_of_workers(self, scans: Path, tmp_path: Path) -> None:
        alone = fill(scans, digests(scans), SMALL, tmp_path / "alone", workers=1)
        together = fill(scans, digests(scans), SMALL, tmp_path / "together", workers=2)
        assert contents(alone.store) == contents(together.store)

    def test_whatever_order_the_scans_are_given_in(self, scans: Path, tmp_path: Path) -> None:
        forward = fill(scans, digests(scans), SMALL, tmp_path / "forward")
        backward = fill(scans, dict(reversed(digests(scans).items())), SMALL, tmp_path / "backward")
        assert contents(forward.store) == contents(backward.store)

    def test_after_a_filling_that_was_cut_off(self, scans: Path, tmp_path: Path) -> None:
        whole = fill(scans, digests(scans), SMALL, tmp_path / "whole", workers=1)

        def cut_off(done: int, _: int) -> None:
            if done > 90:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fill(scans, digests(scans), SMALL, tmp_path / "cut", workers=1, progress=cut_off)
        resumed = fill(scans, digests(scans), SMALL, tmp_path / "cut", workers=1)
        assert 0 < resumed.decoded < 60
        assert contents(resumed.store) == contents(whole.store)

    def test_after_a_filling_that_was_killed(self, scans: Path, tmp_path: Path) -> None:
        whole = fill(scans, digests(scans), SMALL, tmp_path / "whole")
        code = f"""
            import hashlib, os, signal
            from pathlib import Path
            from xray.config import Images
            from xray.data.store import fill_pixel_store as shards

            shards.SHARD_ROWS, shards.ROW_GROUP_ROWS = 24, 12
            folder = Path({str(scans)!r})
            of_path = {{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}}
            kill_me = lambda done, total: done > 70 and os.kill(os.getpid(), signal.SIGKILL)
            shards.fill(folder, of_path, Images(height=32, width=40), Path({str(tmp_path / "cut")!r}), 2, kill_me)
        """
        killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=PROJECT, check=False)
        assert killed.returncode == -signal.SIGKILL
        resumed = fill(scans, digests(scans), SMALL, tmp_path / "cut")
        assert 0 < resumed.decoded < 102
        assert contents(resumed.store) == contents(whole.store)


@pytest.mark.usefixtures("many_shards")
class TestRepair:
    @pytest.mark.parametrize("damage", ["missing", "changed", "cut"])
    def test_broken_shards_are_made_again_as_they_were(self, scans: Path, tmp_path: Path, damage: str) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        before = contents(store)
        for shard in (store.shards[0], store.shards[3]):
            path = store.folder / shard.name
            if damage == "missing":
                path.unlink()
            elif damage == "cut":
                os.truncate(path, 1000)
            else:
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
        filled = fill(scans, digests(scans), SMALL, tmp_path)
        assert filled.rebuilt_shards == 2
        assert filled.decoded == store.shards[0].rows + store.shards[3].rows
        assert contents(filled.store) == before

    def test_scans_of_a_broken_shard_that_are_not_given_leave_the_store(self, scans: Path, tmp_path: Path) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        (store.folder / store.shards[0].name).unlink()
        filled = fill(scans, {}, SMALL, tmp_path)
        assert (filled.decoded, filled.rebuilt_shards) == (0, 1)
        assert len(PixelStore.open(store.folder).facts) == 100 - store.shards[0].rows

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"normalizer": 1', "\x00"])
    def test_a_broken_manifest_costs_a_decoding_and_nothing_else(self, scans: Path, tmp_path: Path, text: str) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        before = contents(store)
        (store.folder / "manifest.json").write_text(text, encoding="utf-8")
        with pytest.raises(StoreError):
            PixelStore.open(store.folder)
        assert contents(fill(scans, digests(scans), SMALL, tmp_path).store) == before

    def test_what_a_killed_filling_left_is_removed(self, scans: Path, tmp_path: Path) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        before = contents(store)
        for name in ("shard.tmp-1", "manifest.json.tmp-1", "shard-0123456789abcdef.parquet"):
            (store.folder / name).write_bytes(b"half")
        assert contents(fill(scans, digests(scans), SMALL, tmp_path).store) == before

    def test_opening_notices_a_missing_shard(self, scans: Path, tmp_path: Path) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        (store.folder / store.shards[1].name).unlink()
        with pytest.raises(StoreError, match=store.shards[1].name):
            PixelStore.open(store.folder)

    def test_reading_a_scan_that_is_not_there_names_it(self, scans: Path, tmp_path: Path) -> None:
        store = fill(scans, digests(scans), SMALL, tmp_path).store
        with pytest.raises(StoreError, match="f00d"):
            store.read(["f00d"])


class TestTrouble:
    def test_a_scan_that_changed_after_it_was_digested_is_named(self, copied: Path, tmp_path: Path) -> None:
        of_path = digests(copied)
        write_scan(copied / "050.png", seed=5000)
        with pytest.raises(DataError, match=r"050\.png"):
            fill(copied, of_path, SMALL, tmp_path)

    def test_a_scan_that_is_gone_is_named_by_a_worker_too(self, copied: Path, tmp_path: Path) -> None:
        of_path = digests(copied)
        (copied / "050.png").unlink()
        with pytest.raises(DataError, match=r"050\.png.*No such file"):
            fill(copied, of_path, SMALL, tmp_path, workers=2)

    def test_a_full_disk_leaves_the_earlier_store_whole(self, copied: Path, tmp_path: Path) -> None:
        root = tmp_path / "pixels"
        before = contents(fill(copied, digests(copied), SMALL, root).store)
        for seed in range(40):
            write_scan(copied / f"new{seed}.png", seed=1000 + seed)
        code = f"""
            import resource, signal
            from pathlib import Path
            from tests_scans import digests
            from xray.config import Images
            from xray.data.store.fill_pixel_store import fill
            from xray.errors import StoreError
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            folder = Path({str(copied)!r})
            try:
                fill(folder, digests(folder), Images(height=32, width=40), Path({str(root)!r}))
            except StoreError as error:
                print(error)
        """
        (tmp_path / "tests_scans.py").write_text(
            "import hashlib\ndef digests(folder):\n"
            "    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{tmp_path}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.count("\n") == 1
        assert "must be writable and have free space" in done.stdout
        assert done.stderr == ""
        store = PixelStore.open(root / normalizer_digest(SMALL))
        assert contents(store) == before
        filled = fill(copied, digests(copied), SMALL, root)
        assert (filled.decoded, filled.reused) == (40, 102)

    def test_a_folder_that_cannot_be_made_is_one_line(self, scans: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError, match="file"):
            fill(scans, digests(scans), SMALL, tmp_path / "file")

    def test_two_writers_decode_everything_once(self, scans: Path, tmp_path: Path) -> None:
        decoded: list[int] = []
        writers = [
            threading.Thread(
                target=lambda: decoded.append(fill(scans, digests(scans), SMALL, tmp_path, workers=1).decoded)
            )
            for _ in range(2)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert sorted(decoded) == [0, 102]


@pytest.fixture(scope="module")
def shard(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = fill(scans, digests(scans), SMALL, tmp_path_factory.mktemp("pixels")).store
    return store.folder / store.shards[0].name


@pytest.fixture(scope="module")
def first(shard: Path, scans: Path) -> tuple[str, bytes]:
    digest, path = min((digest, name) for name, digest in digests(scans).items() if name[0].isdigit())
    return digest, normalize((scans / path).read_bytes(), SMALL).pixels.tobytes()


class TestOpenElsewhere:
    def test_the_schema_says_what_the_pixels_are(self, shard: Path) -> None:
        about = {key.decode(): value.decode() for key, value in pq.read_schema(shard).metadata.items()}
        assert about == {"normalizer": normalizer_digest(SMALL), "height": "32", "width": "40", "dtype": "uint8"}

    def test_the_manifest_gives_each_shard_s_digest_and_rows(self, shard: Path) -> None:
        (listed,) = json.loads((shard.parent / "manifest.json").read_text())["shards"]
        assert listed["name"] == shard.name
        assert listed["sha256"] == hashlib.sha256(shard.read_bytes()).hexdigest()
        assert listed["rows"] == 100

    def test_pandas(self, shard: Path, first: tuple[str, bytes]) -> None:
        import pandas as pd

        row = pd.read_parquet(shard).iloc[0]
        assert (row["sha256"], row["pixels"]) == first

    def test_duckdb(self, shard: Path, first: tuple[str, bytes]) -> None:
        duckdb = pytest.importorskip("duckdb")
        assert duckdb.sql(f"SELECT sha256, pixels FROM '{shard}' ORDER BY sha256 LIMIT 1").fetchall() == [first]

    def test_polars(self, shard: Path, first: tuple[str, bytes]) -> None:
        polars = pytest.importorskip("polars")
        assert polars.read_parquet(shard, columns=["sha256", "pixels"]).row(0) == first

    def test_hugging_face_datasets(self, shard: Path, first: tuple[str, bytes], tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        row = datasets.Dataset.from_parquet(str(shard), cache_dir=str(tmp_path))[0]
        assert (row["sha256"], row["pixels"]) == first


@pytest.mark.real_data
def test_real_scans_are_stored_as_normalizing_gives_them(real_scans: Path, tmp_path: Path) -> None:
    folder = real_scans / "test"
    some = dict(list(digests(folder).items())[:40])
    store = fill(folder, some, Images(), tmp_path).store
    for path, pixels in zip(some, store.read(list(some.values())), strict=True):
        np.testing.assert_array_equal(pixels, normalize((folder / path).read_bytes(), Images()).pixels)
