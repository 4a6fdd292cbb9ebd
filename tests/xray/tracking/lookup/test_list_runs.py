"""The list of the last runs."""

from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from tests.xray.tracking.judged_runs import EXPERIMENT, judged_run, scores_of
from xray.config import Workspace
from xray.errors import RegistryError
from xray.tracking.lookup.list_runs import COLUMNS, RunLine, last_runs, pages
from xray.tracking.store import store_of
from xray.tracking.ui_views import VIEW_TAG

ADDRESS = "http://127.0.0.1:5000"


def row_of(line: RunLine) -> dict[str, str]:
    return dict(zip(COLUMNS, line.row(), strict=True))


def test_a_judged_run_shows_its_figures_and_versions(workspace: Workspace) -> None:
    run_id = judged_run(workspace, "quick-abc", scores_of(0.2))
    client = store_of(workspace).client()
    client.create_registered_model("net")
    for _ in range(2):
        client.create_model_version("net", source="file:///model", run_id=run_id)
    overview = last_runs(workspace, EXPERIMENT, 10, ADDRESS)
    (line,) = overview.runs
    metrics = client.get_run(run_id).data.metrics
    assert {name: metrics[name] for name in line.figures} == line.figures
    assert set(line.figures) == {
        "test.auc", "test.auc_low", "test.auc_high", "test.accuracy", "test.sensitivity", "test.specificity",
        "validation.auc",
    }  # fmt: skip
    assert (line.run_id, line.name, line.status, line.recipe) == (run_id, "quick-abc", "finished", "quick")
    assert line.data == ("phantoms",) and row_of(line)["data"] == "phantoms"
    assert line.versions == ("net/1", "net/2")
    assert line.finished is not None and abs((datetime.now(UTC) - line.finished).total_seconds()) < 120
    row = row_of(line)
    assert row["run"] == f"quick-abc\n{run_id[:8]}\nnet/1\nnet/2"
    assert row["auc"].startswith(f"{metrics['test.auc']:.3f} ({metrics['test.auc_low']:.3f} to ")
    assert row["status"].startswith("finished 2")
    assert line.to_dict()["finished"] == line.finished.isoformat()
    assert overview.page.startswith(f"{ADDRESS}/#/experiments/") and not overview.is_served


def begun(client: MlflowClient, experiment: str, name: str, start: int, parent: str | None = None) -> str:
    tags = {} if parent is None else {"mlflow.parentRunId": parent}
    return str(client.create_run(experiment, run_name=name, start_time=start, tags=tags).info.run_id)


def test_a_run_without_figures_is_listed_too_the_newest_first(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    experiment = store.experiment(client, EXPERIMENT)
    for number in range(4):
        begun(client, experiment, f"run{number}", 1_000 + number)
    overview = last_runs(workspace, EXPERIMENT, 3, ADDRESS)
    assert [line.name for line in overview.runs] == ["run3", "run2", "run1"]
    assert overview.runs[1].row()[1:] == ("-", "-", "running", "-", "-", "-", "-", "-")
    assert overview.runs[1].to_dict()["finished"] is None


def test_a_searchs_trials_push_no_run_out_of_the_list(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    experiment = store.experiment(client, EXPERIMENT)
    plain = begun(client, experiment, "plain", 1_000)
    study = begun(client, experiment, "study", 2_000)
    trials = [begun(client, experiment, f"trial{number}", 3_000 + number, study) for number in range(10)]
    overview = last_runs(workspace, EXPERIMENT, 2, ADDRESS)
    assert [(line.run_id, line.parts) for line in overview.runs] == [(study, 10), (plain, 0)]
    assert "10 runs below" in overview.runs[0].row()[0]
    below = last_runs(workspace, EXPERIMENT, 20, ADDRESS, below="study").runs
    assert [line.run_id for line in below] == trials[::-1]
    assert {line.parent for line in below} == {study}


def test_a_part_that_a_version_comes_from_keeps_its_place_in_the_list(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    experiment = store.experiment(client, EXPERIMENT)
    family = begun(client, experiment, "family", 2_000)
    first, _other = (begun(client, experiment, f"fold{number}", 1_000 + number, family) for number in range(2))
    begun(client, experiment, "newest", 3_000)
    client.create_registered_model("net")
    client.create_model_version("net", source="file:///model", run_id=first)
    lines = last_runs(workspace, EXPERIMENT, 3, ADDRESS).runs
    assert [line.name for line in lines] == ["newest", "family", "fold0"]
    assert lines[2].row()[0] == f"fold0\n{first[:8]}\nnet/1\nbelow {family[:8]}"
    assert [line.name for line in last_runs(workspace, EXPERIMENT, 2, ADDRESS).runs] == ["newest", "family"]


def test_an_experiment_that_is_not_there_is_one_line(workspace: Workspace) -> None:
    with pytest.raises(RegistryError, match="^--experiment must be one of Default. Received: nowhere$"):
        last_runs(workspace, "nowhere", 3, ADDRESS)


def test_listing_gives_an_older_experiment_its_view(workspace: Workspace) -> None:
    client = store_of(workspace).client()
    older = client.create_experiment("older")
    assert pages(workspace, ADDRESS) == {}
    page = last_runs(workspace, "older", 3, ADDRESS).page
    assert VIEW_TAG in client.get_experiment(older).tags
    assert pages(workspace, ADDRESS) == {"older": page}
