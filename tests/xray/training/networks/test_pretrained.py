"""Weights to start from: a small server on the loopback address stands in for Keras; the outer one is never asked."""

import hashlib
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import keras
import pytest

from xray.config import Model
from xray.errors import StoreError, TrainingError
from xray.training.networks import pretrained
from xray.training.networks.backbones import BACKBONES
from xray.training.networks.pretrained import IMAGENET, PUBLISHED, weights_file, what_it_starts_from

HDF5 = b"\x89HDF\r\n\x1a\n and weights"
MOBILENET = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

ASK_KERAS = """
import json, keras
makes = dict(
    mobilenet_v2=keras.applications.MobileNetV2,
    mobilenet_v3_small=keras.applications.MobileNetV3Small,
    efficientnet_v2_b0=keras.applications.EfficientNetV2B0,
    densenet121=keras.applications.DenseNet121,
    resnet50_v2=keras.applications.ResNet50V2,
)
said = {}
for name, make in makes.items():
    try:
        make(include_top=False, weights="imagenet", input_shape=(224, 224, 3))
    except Exception as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@dataclass
class Publisher:
    """What the server answers, and what it was asked."""

    status: int = 200
    body: bytes = HDF5
    missing: int = 0
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    publisher: Publisher

    def do_GET(self) -> None:
        self.publisher.asked.append(self.path)
        self.send_response(self.publisher.status)
        self.send_header("Content-Length", str(len(self.publisher.body) + self.publisher.missing))
        self.end_headers()
        self.wfile.write(self.publisher.body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def model_of(name: str, weights: str) -> Model:
    return Model.model_validate({"architecture": "backbone", "backbone": name, "weights": weights})


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keras's folder, not there yet; and no proxy."""
    for proxy in PROXIES:
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


@pytest.fixture
def publisher(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(Handler, "publisher", Publisher(), raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setattr(pretrained, "PUBLISHED", f"http://127.0.0.1:{server.server_port}/")
    yield Handler.publisher
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed() -> Iterator[str]:
    """The address of a port that nothing listens on, and that nobody else can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class TestImagenet:
    def test_it_is_fetched_once_to_where_keras_keeps_it(self, publisher: Publisher, folder: Path) -> None:
        model = model_of("mobilenet_v2", "imagenet")
        for _ in range(2):
            assert weights_file(model) == folder / MOBILENET
        assert (folder / MOBILENET).read_bytes() == HDF5
        assert [path.name for path in folder.iterdir()] == [MOBILENET]
        assert publisher.asked == [f"/mobilenet_v2/{MOBILENET}"]
        content = hashlib.sha256(HDF5).hexdigest()
        assert what_it_starts_from(model) == {
            "architecture": "backbone",
            "backbone": "mobilenet_v2",
            "weights": content,
        }

    @pytest.mark.parametrize(
        ("answer", "name", "words"),
        [
            (Publisher(status=404), "mobilenet_v2", "HTTP Error 404"),
            (Publisher(missing=1000), "mobilenet_v2", "of 1,0.. bytes"),
            (Publisher(body=b"<html>log in</html>"), "mobilenet_v2", "a file that is not HDF5"),
            (Publisher(), "densenet121", "with MD5 [0-9a-f]{32} rather than 30ee3e11"),
        ],
        ids=["gone", "cut-short", "a-page", "another-file"],
    )
    def test_what_does_not_come_whole_leaves_nothing(
        self, publisher: Publisher, folder: Path, answer: Publisher, name: str, words: str
    ) -> None:
        Handler.publisher = answer
        with pytest.raises(TrainingError, match=f"needs {IMAGENET[name].name}: .* Received: .*{words}"):
            weights_file(model_of(name, "imagenet"))
        assert len(answer.asked) == 1
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("name", IMAGENET)
    def test_without_a_network_one_line_names_the_file_to_bring(
        self, folder: Path, closed: str, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv("https_proxy", closed)
        with pytest.raises(TrainingError) as refused:
            weights_file(model_of(name, "imagenet"))
        said, published = str(refused.value), IMAGENET[name]
        assert said.startswith(f"model.weights=imagenet needs {published.name}: copy it to {folder}, or set model.")
        assert "model.weights=FILE. Received: " in said
        assert "Connection refused" in said
        assert said.endswith(f"from {PUBLISHED}{published.path}")
        assert "\n" not in said

    def test_a_file_that_was_brought_needs_no_network(
        self, folder: Path, closed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", closed)
        folder.mkdir(parents=True)
        (folder / MOBILENET).write_bytes(HDF5)
        assert weights_file(model_of("mobilenet_v2", "imagenet")) == folder / MOBILENET

    def test_a_folder_that_cannot_be_written_is_named(self, folder: Path) -> None:
        folder.parent.touch()
        with pytest.raises(StoreError, match=f"Keras's folder must be writable. Received: {folder}"):
            weights_file(model_of("mobilenet_v2", "imagenet"))

    @pytest.mark.timeout(900)
    def test_files_and_addresses_are_those_that_keras_would_ask_for(self, closed: str, tmp_path: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
        environment = kept | {"https_proxy": closed, "HTTPS_PROXY": closed, "KERAS_HOME": str(tmp_path)}
        command = [sys.executable, "-c", ASK_KERAS]
        child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert child.returncode == 0, child.stderr
        said = json.loads(child.stdout.splitlines()[-1])
        asked = {name: text.removeprefix("URL fetch failure on ").partition(": None")[0] for name, text in said.items()}
        assert asked == {name: PUBLISHED + published.path for name, published in IMAGENET.items()}

    def test_checksums_are_keras_own(self) -> None:
        sources = Path(inspect.getfile(keras.applications.DenseNet121)).parent.glob("*.py")
        text = "".join(path.read_text(encoding="utf-8") for path in sources)
        sums = [published.md5 for published in IMAGENET.values() if published.md5]
        assert len(sums) == len(IMAGENET) - 1
        assert [each for each in sums if each not in text] == []


class TestFile:
    def test_it_is_taken_from_where_it_lies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mine.weights.h5").write_bytes(HDF5)
        monkeypatch.chdir(tmp_path)
        model = model_of("densenet121", "mine.weights.h5")
        monkeypatch.chdir("/")
        assert weights_file(model) == tmp_path.resolve() / "mine.weights.h5"

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("none.h5", None, "must be readable. Received: .*none.h5 .No such file"),
            ("text.h5", b"no weights", "an HDF5 file named .h5. Received: .*text.h5"),
            ("network.keras", HDF5, "an HDF5 file named .h5. Received: .*network.keras"),
        ],
    )
    def test_another_file_is_refused(self, tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(TrainingError, match=words):
            weights_file(model_of("densenet121", str(tmp_path / name)))


def test_fresh_weights_need_no_file_and_ask_nobody(publisher: Publisher) -> None:
    model = model_of("densenet121", "none")
    assert weights_file(model) is None
    assert what_it_starts_from(model) == {"architecture": "backbone", "backbone": "densenet121"}
    assert publisher.asked == []


def test_a_network_without_a_backbone_is_named_as_before_there_were_any() -> None:
    assert what_it_starts_from(Model()) == {"architecture": "article"}
    assert what_it_starts_from(Model(architecture="quick")) == {"architecture": "quick"}


def test_the_configuration_the_networks_and_the_files_name_the_same() -> None:
    named = get_args(Model.model_fields["backbone"].annotation)
    assert named == ("none", *BACKBONES) == ("none", *IMAGENET)
