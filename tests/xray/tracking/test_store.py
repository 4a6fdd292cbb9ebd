"""The one place that says where runs and models are kept."""

import os
import shutil
from pathlib import Path

import mlflow
import pytest

from xray.config import Workspace
from xray.errors import ConfigError, RegistryError
from xray.tracking.store import Store, first_line, reached, store_of, ui_command


def test_it_lies_under_mlruns(workspace: Workspace) -> None:
    store = store_of(workspace)
    assert store.uri == f"sqlite:///{workspace.mlruns / 'mlflow.db'}"
    assert store.artifacts == f"file://{workspace.mlruns / 'artifacts'}"


def test_it_is_new_until_its_database_is_made(workspace: Workspace) -> None:
    assert not store_of(workspace).is_new
    (workspace.mlruns / "mlflow.db").unlink()
    assert store_of(workspace).is_new
    assert not Store("https://mlflow.example:5000", None).is_new


def test_a_server_named_by_the_environment_wins_and_keeps_its_own_artifacts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example:5000")
    assert store_of(workspace) == Store("https://mlflow.example:5000", None)


def test_a_database_named_by_the_environment_keeps_artifacts_under_mlruns(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db/mlflow")
    store = store_of(workspace)
    assert store.artifacts == f"file://{workspace.mlruns / 'artifacts'}"
    assert store.shown == "postgresql://db/mlflow"


def test_a_password_in_a_servers_address_is_moved_where_nothing_repeats_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:p%40ssword@mlflow.example:5000")
    assert store_of(workspace) == Store("https://mlflow.example:5000", None)
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://mlflow.example:5000"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me", "p@ssword")


def test_a_database_whose_address_is_malformed_is_refused_in_one_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db:54x2/mlflow")
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI must be the address of a database") as refused:
        store_of(workspace)
    assert "secret" not in str(refused.value)


def test_an_error_is_one_line_that_names_the_store_and_no_password() -> None:
    store = Store("postgresql://me:secret@db/mlflow", None)
    with pytest.raises(RegistryError) as error, reached(store):
        raise OSError("connection refused\nand much more")
    assert str(error.value) == "tracking store postgresql://db/mlflow must answer. Received: connection refused"


def test_being_current_leaves_no_trace(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store, before = store_of(workspace), mlflow.get_tracking_uri()
    with store.current():
        assert mlflow.get_tracking_uri() == store.uri
        assert mlflow.get_registry_uri() == store.uri
    assert mlflow.get_tracking_uri() == before
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert "MLFLOW_REGISTRY_URI" not in os.environ
    assert store_of(workspace) == store


def test_an_experiment_is_made_once_with_its_artifacts_under_the_root(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    first = store.experiment(client, "xray-test")
    assert store.experiment(client, "xray-test") == first
    assert client.get_experiment(first).artifact_location == f"{store.artifacts}/xray-test"


@pytest.mark.parametrize("name", ["team/chest x-rays", "lungs é", "50%41 #1?"])
def test_whatever_its_name_its_artifacts_lie_below_the_home(workspace: Workspace, tmp_path: Path, name: str) -> None:
    store = store_of(workspace)
    client = store.client()
    run = client.create_run(store.experiment(client, name)).info.run_id
    client.log_text(run, "kept", "kept.txt")
    assert (workspace.mlruns / "artifacts" / name / run / "artifacts" / "kept.txt").read_text() == "kept"
    assert Path(client.download_artifacts(run, "kept.txt", str(tmp_path))).read_text() == "kept"


@pytest.mark.parametrize("name", ["a home", "#1", "50%", "é", "it's", "a&b=c;d", "[x]{y}"])
def test_whatever_a_home_is_called_its_store_lies_in_it(tmp_path: Path, migrated: Path, name: str) -> None:
    workspace = Workspace(home=tmp_path / name)
    workspace.mlruns.mkdir(parents=True)
    shutil.copy(migrated, workspace.mlruns / "mlflow.db")
    store = store_of(workspace)
    client = store.client()
    run = client.create_run(store.experiment(client, "xray-test")).info.run_id
    client.log_text(run, "kept", "kept.txt")
    assert (workspace.mlruns / "artifacts" / "xray-test" / run / "artifacts" / "kept.txt").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_a_home_that_no_address_can_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"must not contain a \?.*Received: .*/x\?y/mlruns/mlflow.db"):
        store_of(Workspace(home=tmp_path / "x?y"))


def test_a_deleted_experiment_is_refused(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    client.delete_experiment(store.experiment(client, "gone"))
    with pytest.raises(RegistryError, match="must not be deleted.*Received: gone"):
        store.experiment(client, "gone")


def test_no_address_stands_among_the_arguments_of_the_ui(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db/mlflow")
    command = ui_command(workspace, port=5055)
    assert command[1:] == ["-m", "xray.tracking.server.mlflow_server", str(workspace.home), "5055"]


def test_a_server_has_a_ui_of_its_own(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow.example")
    with pytest.raises(RegistryError, match="open it in a browser. Received: http://mlflow.example"):
        ui_command(workspace)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("no such model\nhere", "no such model"),
        (
            "The following failures occurred:\n##### File a #####\n[Errno 28] No space left\n",
            "[Errno 28] No space left",
        ),
        ("it ends here:", "it ends here:"),
        ("", "ValueError"),
    ],
)
def test_the_line_of_an_error_that_says_something(words: str, line: str) -> None:
    assert first_line(ValueError(words)) == line
