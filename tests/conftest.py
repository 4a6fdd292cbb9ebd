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

from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


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
    from xray.data.phantom import write_phantoms

    folder = tmp_path_factory.mktemp("phantoms") / "data"
    write_phantoms(folder, scans=240, seed=0, size=(64, 64))
    return folder


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server of the tests' own, with an empty database, for as long as the tests last."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield
