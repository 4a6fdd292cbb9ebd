"""What a run keeps is found by a person: as a file where it is one, else on a page."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xray.config import Workspace
from xray.tracking.page_address import file_of, page_of
from xray.tracking.store import Store
from xray.tracking.tracker import Tracker


def test_a_local_runs_file_is_a_path_that_can_be_opened(opened: Callable[[], Tracker], workspace: Workspace) -> None:
    client, run_id = opened().require()
    client.log_text(run_id, "<html>", "report.html")
    assert Path(file_of(workspace, run_id, "report.html")).read_text() == "<html>"
    assert page_of(workspace, run_id) is None


def test_a_file_that_came_through_a_server_is_a_path_without_it(
    opened: Callable[[], Tracker], workspace: Workspace
) -> None:
    client, _ = opened().require()
    experiment = client.create_experiment("served", "mlflow-artifacts:/7")
    served = client.create_run(experiment).info.run_id
    kept = workspace.mlruns / "artifacts" / "7" / served / "artifacts"
    assert file_of(workspace, served, "report.html") == str(kept / "report.html")


def test_at_a_server_it_is_a_page(
    opened: Callable[[], Tracker], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, run_id = opened().require()
    experiment = client.get_run(run_id).info.experiment_id
    monkeypatch.setattr(Store, "client", lambda self: client)  # the same runs, as a server would list them
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    page = f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/{run_id}"
    assert file_of(workspace, run_id, "report.html") == f"{page}/artifacts/report.html?workflowType=machine_learning"
    assert page_of(workspace, run_id) == f"{page}?workflowType=machine_learning"
