"""What was logged through a server is found without it, and what was logged without one is found where it lies."""

from pathlib import Path

import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

from xray.config import Workspace
from xray.tracking.store import store_of


def kept_by_a_server(workspace: Workspace) -> str:
    """An experiment as a server makes it, with a run and a file as the server keeps them; give the run's id."""
    client = store_of(workspace).client()
    experiment = client.create_experiment("served", artifact_location="mlflow-artifacts:/7")
    run = client.create_run(experiment)
    folder = workspace.mlruns / "artifacts" / "7" / run.info.run_id / "artifacts"
    folder.mkdir(parents=True)
    (folder / "kept.txt").write_text("kept")
    return str(run.info.run_id)


def test_without_the_server_its_files_are_listed_and_read(workspace: Workspace, tmp_path: Path) -> None:
    run = kept_by_a_server(workspace)
    client = store_of(workspace).client()
    assert [file.path for file in client.list_artifacts(run)] == ["kept.txt"]
    copy = client.download_artifacts(run, "kept.txt", str(tmp_path))
    assert Path(copy).read_text() == "kept"


def test_without_the_server_a_file_is_added_beside_them(workspace: Workspace, tmp_path: Path) -> None:
    run = kept_by_a_server(workspace)
    client = store_of(workspace).client()
    (tmp_path / "new.txt").write_text("new")
    client.log_artifact(run, str(tmp_path / "new.txt"))
    assert (workspace.mlruns / "artifacts" / "7" / run / "artifacts" / "new.txt").read_text() == "new"


def test_mlflows_own_calls_find_them_while_the_store_is_current(workspace: Workspace) -> None:
    import mlflow

    run = kept_by_a_server(workspace)
    with store_of(workspace).current():
        assert mlflow.artifacts.load_text(f"runs:/{run}/kept.txt") == "kept"


def test_of_a_server_the_server_is_asked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(workspace).client()
    asked = get_artifact_repository("mlflow-artifacts:/7", tracking_uri="http://127.0.0.1:1")
    assert isinstance(asked, MlflowArtifactsRepository)
