"""What every test may lean on: quiet libraries, phantoms made once, and the real scans where they lie."""

import os

# Before any test imports TensorFlow, Prefect or MLflow.
os.environ.update(
    {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
)
os.environ.pop("MLFLOW_TRACKING_URI", None)

import gc
import hashlib
import logging
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from xray.files.s3 import S3Path

if TYPE_CHECKING:
    from tests.system.started import Started

pytest_plugins = ["tests.fast", "tests.order"]

PROJECT = Path(__file__).parent.parent

# The test files import a million objects. To walk these again and again until all are there took a third of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the collector work again, but for what is imported, which stays."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def own_path() -> Iterator[None]:
    """Take away what a test file put on Python's path: MLflow leaves the code of each model that it loads there."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """The real scans beside the project, or a skip that says so."""
    folder = PROJECT.parent / "shared" / "data" / "coronahack"
    if not folder.is_dir():
        pytest.skip(f"the real scans are not there: {folder}")
    return folder


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of 240 phantoms of 64 x 64. Read only: a test that changes files makes its own."""
    from xray.data.phantoms.write_phantoms import write_phantoms

    folder = tmp_path_factory.mktemp("phantoms") / "data"
    write_phantoms(folder, scans=240, seed=0, size=(64, 64))
    return folder


@pytest.fixture
def disk_with_room_for() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow beyond so many bytes, as on a full disk; it holds for root, too."""

    @contextmanager
    def limited(most_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server of the tests' own, with an empty database, for as long as the tests last."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@contextmanager
def _prefect(folder: Path) -> Iterator[tuple["Started", str]]:
    """Have a Prefect server that keeps its state in a folder, and give its address."""
    from tests.system.started import answers, free_ports, settings_of, started
    from tests.system.waiting import until

    (port,) = free_ports(1)
    state = {"PREFECT_HOME": str(folder / ".prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with started(folder, "prefect", command, settings_of(folder / "user", **state)) as server:
        until(lambda: server.alive() and answers(f"http://127.0.0.1:{port}/api/health"), "Prefect's server answers")
        yield server, f"http://127.0.0.1:{port}/api"


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Prefect's server keeps once it has started: a database with its tables and without a run. Read only.

    Making it takes 7 s of a processor's time. It is made once for all processes of the tests.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "begun"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            draft = tmp_path_factory.mktemp("begun")
            with _prefect(draft) as (server, _):
                server.interrupt()
                server.ended()
            (draft / ".prefect").rename(folder)
    return folder


@pytest.fixture(scope="session")
def begin(begun: Path) -> Callable[[Path], None]:
    """Give a home what Prefect keeps in one whose server has started before, closed to others as commands make it."""

    def copy(home: Path) -> None:
        (home / ".prefect").mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (*begun.glob("prefect.db*"), begun / "memo_store.toml"):
            Path(shutil.copy(path, home / ".prefect")).chmod(0o600)

    return copy


@pytest.fixture(scope="session")
def prefect_url(begin: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `PREFECT_API_URL` names where a Prefect server is no matter to a test: one runs as long as the tests last.

    A command that is not told of one starts a temporary server, which takes more of a processor than the command does.
    """
    folder = tmp_path_factory.mktemp("prefect")
    begin(folder)
    with _prefect(folder) as (_, address):
        yield address


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of an S3 server on loopback, which speaks HTTP."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def bucket(s3_port: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Path:
    """A new bucket on that server, which the environment names, with credentials for it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    import boto3

    name = f"test-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:32]}"
    boto3.client("s3", endpoint_url=settings["AWS_ENDPOINT_URL"]).create_bucket(Bucket=name)
    return S3Path(name)


def send(folder: Path, address: S3Path) -> S3Path:
    """Copy a folder to a server, file by file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            (address / path.relative_to(folder).as_posix()).upload(path)
    return address
