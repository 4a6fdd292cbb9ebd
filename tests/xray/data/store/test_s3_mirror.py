"""A pixel store shared at a server: a second home decodes nothing, and what is broken there is made again."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.connections import proxied
from xray.config import Images
from xray.data.decoding.image_decoder import normalizer_digest
from xray.data.store import fill_pixel_store
from xray.data.store.fill_pixel_store import Filled, PixelStore, fill
from xray.errors import S3Error
from xray.files import s3_server
from xray.files.s3 import S3Path

SMALL = Images(height=32, width=40)
DIGEST = normalizer_digest(SMALL)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / DIGEST).iterdir() if path.name != ".lock"}


def shared_contents(shared: S3Path) -> dict[str, bytes]:
    folder = shared / DIGEST
    return {file.path: (folder / file.path).read_bytes() for file in folder.files()}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 scans, and a file that is none. Read only."""
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(40):
        pixels = np.random.default_rng(seed).integers(0, 256, (36, 44), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed:03}.png", "PNG")
    (folder / "page.png").write_text("<html>", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three shards of 40 scans."""
    monkeypatch.setattr(fill_pixel_store, "SHARD_ROWS", 16)


def filled(scans: Path, home: Path, shared: S3Path | None, names: slice = slice(None)) -> Filled:
    wanted = dict(list(digests(scans).items())[names])
    return fill(scans, wanted, SMALL, home, shared=shared)


def test_a_second_home_decodes_nothing_and_holds_the_same_bytes(scans: Path, bucket: S3Path, tmp_path: Path) -> None:
    alone = filled(scans, tmp_path / "alone", None)
    first = filled(scans, tmp_path / "first", bucket / "pixels")
    second = filled(scans, tmp_path / "second", bucket / "pixels")
    assert (alone.decoded, first.decoded, second.decoded, second.reused) == (41, 41, 0, 41)
    assert contents(tmp_path / "second") == contents(tmp_path / "first") == contents(tmp_path / "alone")
    assert shared_contents(bucket / "pixels") == contents(tmp_path / "alone")
    assert len(second.store.shards) == 3
    PixelStore.open(tmp_path / "second" / DIGEST)


def test_a_home_that_was_filled_before_is_shared_later(scans: Path, bucket: S3Path, tmp_path: Path) -> None:
    filled(scans, tmp_path, None)
    assert filled(scans, tmp_path, bucket).decoded == 0
    assert shared_contents(bucket) == contents(tmp_path)


def test_what_is_new_is_added_to_what_others_sent(scans: Path, bucket: S3Path, tmp_path: Path) -> None:
    filled(scans, tmp_path / "first", bucket, slice(0, 20))
    second = filled(scans, tmp_path / "second", bucket)
    assert (second.decoded, second.reused) == (21, 20)
    assert filled(scans, tmp_path / "third", bucket).decoded == 0
    assert filled(scans, tmp_path / "first", bucket).decoded == 0


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_broken_shard_is_made_again_with_one_warning(
    scans: Path, bucket: S3Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    filled(scans, tmp_path / "first", bucket)
    whole = shared_contents(bucket)
    name = min(name for name in whole if name.startswith("shard"))
    manifest = json.loads(whole["manifest.json"])
    if damage == "changed":
        (bucket / DIGEST / name).write_bytes(whole[name][:-1] + b"?")
    else:
        manifest["shards"].append(manifest["shards"][0] | {"name": "shard-0.parquet"})
        del manifest["digest"]  # of what it was
        (bucket / DIGEST / "manifest.json").write_bytes(json.dumps(manifest).encode())
    with caplog.at_level(logging.WARNING, "xray"):
        second = filled(scans, tmp_path / "second", bucket)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        f"{bucket / DIGEST / (name if damage == 'changed' else 'shard-0.parquet')} is missing or has changed "
        "and is created again"
    ]
    assert second.decoded == (16 if damage == "changed" else 0)
    assert shared_contents(bucket) == whole == contents(tmp_path / "second")


def test_a_broken_shard_of_the_home_comes_from_the_server(scans: Path, bucket: S3Path, tmp_path: Path) -> None:
    filled(scans, tmp_path, bucket)
    whole = contents(tmp_path)
    next((tmp_path / DIGEST).glob("shard-*")).write_bytes(b"broken")
    assert filled(scans, tmp_path, bucket).decoded == 0
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"normalizer": "another"}', b"\xff"])
def test_a_broken_manifest_is_made_anew(scans: Path, bucket: S3Path, tmp_path: Path, content: bytes) -> None:
    filled(scans, tmp_path / "first", bucket)
    whole = shared_contents(bucket)
    (bucket / DIGEST / "manifest.json").write_bytes(content)
    assert filled(scans, tmp_path / "second", bucket).decoded == 41
    assert shared_contents(bucket) == whole


def test_no_scan_has_two_places_where_homes_cut_their_shards_in_other_ways(
    scans: Path, bucket: S3Path, tmp_path: Path
) -> None:
    filled(scans, tmp_path / "first", bucket)
    filled(scans, tmp_path / "second", None, slice(3, 30))
    second = filled(scans, tmp_path / "second", bucket)
    assert (second.decoded, len(second.store.facts)) == (0, 40)
    assert contents(tmp_path / "second") == contents(tmp_path / "first")


def test_shards_that_two_homes_sent_at_once_are_listed_until_one_repeats_another(
    scans: Path, bucket: S3Path, tmp_path: Path
) -> None:
    filled(scans, tmp_path / "first", bucket, slice(0, 30))
    filled(scans, tmp_path / "second", bucket / "elsewhere", slice(10, 40))
    manifests = [json.loads(contents(tmp_path / name)["manifest.json"]) for name in ("first", "second")]
    for path in (tmp_path / "second" / DIGEST).glob("shard-*"):
        (bucket / DIGEST / path.name).upload(path)
    both = manifests[0] | {"shards": [shard for manifest in manifests for shard in manifest["shards"]]}
    (bucket / DIGEST / "manifest.json").write_bytes(json.dumps(both).encode())
    third = filled(scans, tmp_path / "third", bucket)
    assert third.store.facts["sha256"].is_unique
    assert len(third.store.facts) == 40
    fourth = filled(scans, tmp_path / "fourth", bucket)
    assert (fourth.decoded, len(fourth.store.facts)) == (0, 40)


def test_what_was_finished_before_the_server_went_away_is_sent_later(
    scans: Path, bucket: S3Path, s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_server, "ATTEMPTS", 1)
    straight = S3Path.upload
    sent: list[str] = []

    with proxied(s3_port) as proxy, monkeypatch.context() as through:
        through.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")

        def upload(address: S3Path, file: Path) -> None:
            proxy.closed = len(sent) == 1  # gone with the second shard
            straight(address, file)
            sent.append(address.name)

        through.setattr(S3Path, "upload", upload)
        with pytest.raises(S3Error, match=r"shard-\w+\.parquet must be reachable"):
            filled(scans, tmp_path / "home", bucket)
    assert len(json.loads((bucket / DIGEST / "manifest.json").read_bytes())["shards"]) == 1
    again = filled(scans, tmp_path / "home", bucket)
    assert again.reused >= 32
    assert filled(scans, tmp_path / "other", bucket).decoded == 0


def test_shards_sent_without_a_manifest_are_not_believed(scans: Path, bucket: S3Path, tmp_path: Path) -> None:
    filled(scans, tmp_path / "first", None)
    for path in (tmp_path / "first" / DIGEST).glob("shard-*"):
        (bucket / DIGEST / path.name).write_bytes(b"half of it")
    assert filled(scans, tmp_path / "second", bucket).decoded == 41
    assert shared_contents(bucket) == contents(tmp_path / "first")
    shutil.rmtree(tmp_path / "second")
    assert filled(scans, tmp_path / "second", bucket).decoded == 0
