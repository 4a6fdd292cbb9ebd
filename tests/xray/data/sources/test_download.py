"""Fetching the public set: kagglehub itself, against a small Kaggle on the loopback address."""

import io
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from xray.data.sources import download as room
from xray.data.sources.download import DATASET, download
from xray.errors import DataError, StoreError, XrayError

pytest.importorskip("kagglehub", reason="the extra `download` is not installed")

METADATA = "Chest_xray_Corona_Metadata.csv"
SCAN = "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/train/IM-0115-0001.jpeg"


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return buffer.getvalue()


@dataclass
class Kaggle:
    """What the server answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    promised: int | None = None
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    kaggle: Kaggle

    def do_HEAD(self) -> None:
        self.answer(404, "text/plain", b"", 0)

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.kaggle.asked.append(f"{self.path} {request}")
        if self.path.endswith("/GetDataset"):
            version = b'{"currentVersionNumber": 3}'
            self.answer(200, "application/json", version, len(version))
        else:
            self.answer(
                self.kaggle.status, "application/zip", self.kaggle.body, self.kaggle.promised or len(self.kaggle.body)
            )

    def answer(self, status: int, kind: str, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def point_kagglehub_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make kagglehub's LOCALHOST environment, port 80 by nature, this port."""
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, f"http://127.0.0.1:{port}")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    monkeypatch.setattr(Handler, "kaggle", Kaggle(), raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    point_kagglehub_at(server.server_port, monkeypatch)
    yield Handler.kaggle
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_public_set_arrives_in_its_layout(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.body = archive({METADATA: b"X_ray_image_name\n", SCAN: b"\xff\xd8"})
    folder = tmp_path / "new" / "coronahack"

    assert download(folder) == 2

    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {METADATA: b"X_ray_image_name\n", SCAN: b"\xff\xd8"}
    assert [path.name for path in folder.parent.iterdir()] == ["coronahack"]
    owner, name = DATASET.split("/")
    assert owner in kaggle.asked[-1]
    assert name in kaggle.asked[-1]


def test_an_empty_folder_is_filled(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.body = archive({METADATA: b"", SCAN: b"", "Chest_xray_Corona_dataset_Summary.csv": b""})
    folder = tmp_path / "coronahack"
    folder.mkdir()
    assert download(folder) == 3


def test_a_folder_that_holds_files_is_refused_and_left_as_it_is(kaggle: Kaggle, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="must be new or empty"):
        download(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert kaggle.asked == []


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"status": 403}, XrayError, "KAGGLE_API_TOKEN.* Received: HTTP 403"),
        ({"status": 404}, XrayError, "Received: HTTP 404"),
        ({"status": 500}, XrayError, "Received: HTTP 500"),
        ({"body": b"<html>log in</html>"}, DataError, "sound archive"),
        ({"body": archive({METADATA: b"a" * 5000})[:2000], "promised": 5000}, XrayError, "whole"),
        ({"body": archive({"other.csv": b""})}, DataError, f"must hold {METADATA}. Received: other.csv"),
    ],
    ids=["forbidden", "gone", "server error", "a page", "cut short", "another data set"],
)
def test_a_bad_answer_is_one_line_and_leaves_nothing(
    kaggle: Kaggle, tmp_path: Path, answer: dict[str, object], error: type[XrayError], message: str
) -> None:
    for name, value in answer.items():
        setattr(kaggle, name, value)
    with pytest.raises(error, match=message) as caught:
        download(tmp_path / "coronahack")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        point_kagglehub_at(closed.getsockname()[1], monkeypatch)
        with pytest.raises(XrayError, match="network that reaches Kaggle. Received: ConnectionRefusedError") as caught:
            download(tmp_path / "coronahack")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_silent_network_is_given_up_in_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_kagglehub_at(silent.getsockname()[1], monkeypatch)
        began = time.monotonic()
        with pytest.raises(XrayError, match="network that reaches Kaggle"):
            download(tmp_path / "coronahack")
    assert time.monotonic() - began < 10


def test_without_the_extra_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(XrayError, match=r"pip install -e '\.\[download\]'"):
        download(tmp_path / "coronahack")


def test_a_folder_that_cannot_be_made_is_a_store_error(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.body = archive({METADATA: b""})
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="must be writable"):
        download(tmp_path / "file" / "coronahack")
