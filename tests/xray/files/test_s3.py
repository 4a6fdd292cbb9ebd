"""Addresses of objects, and what a server says of them."""

import pickle
from pathlib import Path

import pytest
from moto import settings
from pydantic import ValidationError

from tests.connections import proxied
from xray.config import Request, load_config
from xray.errors import ConfigError, S3Error, Unavailable
from xray.files import s3_server
from xray.files.s3 import S3Path, data_path

SECRETS = [
    "s3://AKIA:wJalrX@scans/data",
    "s3://AKIA:wJal/rX@scans/data",
    "s3://AKIA:wJalrX/data",
    "s3://scans/data?X-Amz-Signature=wJalrX",
    "S3://AKIA:wJalrX@scans",
]


class TestAddress:
    @pytest.mark.parametrize(("text", "bucket", "key"), [
        ("s3://scans", "scans", ""),
        ("s3://scans/", "scans", ""),
        ("s3://scans/data/", "scans", "data"),
        ("S3://scans/röntgen/2 0", "scans", "röntgen/2 0"),
    ])  # fmt: skip
    def test_names_a_bucket_and_a_folder(self, text: str, bucket: str, key: str) -> None:
        assert data_path(text) == S3Path(bucket, key)

    @pytest.mark.parametrize("text", ["s3://", "s3:///data", "s3://a", "s3://scans/a//b", "s3://scans/../b"])
    def test_of_another_form_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="must be s3://BUCKET/FOLDER"):
            data_path(text)

    @pytest.mark.parametrize("text", SECRETS)
    def test_with_credentials_is_refused_and_not_repeated(self, text: str) -> None:
        with pytest.raises(ConfigError, match="must not contain credentials") as refused:
            data_path(text)
        assert "AKIA" not in str(refused.value)
        assert "wJal" not in str(refused.value)
        for where in ({"data": text}, {"data": "scans", "prepared": text}):
            with pytest.raises(ValidationError, match="must not contain credentials") as invalid:
                Request.model_validate({"config": load_config("quick"), **where})
            assert "wJal" not in str(invalid.value)

    def test_of_another_scheme_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(ConfigError, match="Received: an address with https://$"):
            data_path("https://user:secret@host/scans")

    def test_a_folder_on_disk_becomes_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert data_path("scans") == tmp_path / "scans"

    def test_parts_are_joined_and_named_as_of_a_path(self) -> None:
        address = S3Path("scans") / "data" / "" / "train/1.png"
        assert str(address) == "s3://scans/data/train/1.png"
        assert (address.name, str(address.parent), S3Path("scans").name) == ("1.png", "s3://scans/data/train", "scans")
        assert pickle.loads(pickle.dumps(address)) == address

    def test_a_request_survives_json(self) -> None:
        request = Request(data=S3Path("scans", "data"), prepared=S3Path("made"), config=load_config("quick"))
        again = Request.model_validate_json(request.model_dump_json())
        assert again == request
        assert again.workspace.shared == S3Path("made")
        assert again.command.startswith("xray run s3://scans/data ")
        assert again.command.endswith(" --prepared s3://made")

    def test_only_a_server_can_share_what_is_prepared(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="--prepared must be s3://BUCKET/FOLDER. Received: /"):
            Request.model_validate({"data": "scans", "prepared": str(tmp_path), "config": load_config("quick")})


class TestObjects:
    def test_are_written_listed_and_read(self, bucket: S3Path, tmp_path: Path) -> None:
        folder, content = bucket / "data", bytes(range(256)) * 200
        (folder / "train" / "a.png").write_bytes(content)
        (tmp_path / "b.png").write_bytes(content)
        (folder / "b.png").upload(tmp_path / "b.png")
        (bucket / "database").write_bytes(b"not below data/")
        assert (folder / "train" / "a.png").read_bytes() == content
        (folder / "b.png").download(tmp_path / "again.png")
        assert (tmp_path / "again.png").read_bytes() == content
        assert sorted((file.path, file.size) for file in folder.files()) == [("b.png", 51200), ("train/a.png", 51200)]
        assert (folder.is_dir(), (folder / "b.png").is_dir(), (bucket / "none").is_dir()) == (True, False, False)
        assert ((folder / "b.png").exists(), (folder / "c.png").exists()) == (True, False)

    def test_empty_objects_and_files(self, bucket: S3Path, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        (bucket / "empty").upload(tmp_path / "empty")
        (bucket / "empty").download(tmp_path / "again")
        assert ((bucket / "empty").read_bytes(), (tmp_path / "again").read_bytes()) == (b"", b"")

    def test_that_are_not_there(self, bucket: S3Path) -> None:
        with pytest.raises(FileNotFoundError) as missing:
            (bucket / "none").read_bytes()
        assert missing.value.strerror == "No such file or directory"
        assert (bucket / "none").files() == []


class TestConnections:
    def test_that_are_cut_in_the_middle_are_made_again(
        self, bucket: S3Path, s3_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = bytes(range(256)) * 400
        (bucket / "scan").write_bytes(content)
        with proxied(s3_port) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
            proxy.cuts, proxy.after = 2, 50_000
            assert (bucket / "scan").read_bytes() == content
            assert proxy.cuts == 0
            assert proxy.passed > 2 * 40_000 + len(content)
            proxy.cuts, proxy.after = 2, 100
            assert [file.path for file in bucket.files()] == ["scan"]
            proxy.cuts, proxy.after = 1, 0
            (bucket / "sent").write_bytes(content)
            assert proxy.cuts == 0
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3_port}")
        assert (bucket / "sent").read_bytes() == content

    def test_to_a_server_that_stays_away_end_in_one_line(
        self, bucket: S3Path, s3_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(s3_server, "ATTEMPTS", 2)
        with proxied(s3_port) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
            proxy.closed = True
            for ask in (
                bucket.files,
                bucket.is_dir,
                (bucket / "a").read_bytes,
                lambda: (bucket / "a").write_bytes(b""),
            ):
                with pytest.raises(
                    S3Error, match=rf"^s3://{bucket.name}\S* must be reachable. Received: NETWORK"
                ) as away:
                    ask()
                assert isinstance(away.value, Unavailable)
                assert "\n" not in str(away.value)


class TestRefusals:
    def test_a_bucket_that_is_not_there(self, bucket: S3Path) -> None:
        nowhere = S3Path("no-such-bucket", "a")
        assert not nowhere.is_dir()
        with pytest.raises(S3Error, match="^s3://no-such-bucket/a must be in an existing bucket. Received: NO_SUCH"):
            nowhere.write_bytes(b"x")

    def test_credentials_that_open_nothing(self, bucket: S3Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (bucket / "a").write_bytes(b"x")
        monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        for ask in (bucket.files, (bucket / "a").read_bytes, lambda: (bucket / "a").write_bytes(b"")):
            with pytest.raises(S3Error, match=r"must be open to the credentials given, see docs/s3.md") as refused:
                ask()
            assert not isinstance(refused.value, Unavailable)
            assert "test-key" not in str(refused.value)
            assert "test-secret" not in str(refused.value)

    def test_an_endpoint_that_is_none(self, bucket: S3Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "ftp://nowhere")
        with pytest.raises(S3Error):
            bucket.files()
