"""The list of the last runs."""

from datetime import UTC, datetime

import pytest

from tests.xray.registry.judged_runs import EXPERIMENT, judged_run, scores_of
from xray.config import Places
from xray.errors import RegistryError
from xray.registry.experiments import VIEW_TAG
from xray.registry.overview import COLUMNS, last_runs, pages
from xray.registry.store import store_of

ADDRESS = "http://127.0.0.1:5000"


def test_a_judged_run_shows_its_figures_and_versions(places: Places) -> None:
    run_id = judged_run(places, "quick-abc", scores_of(0.2))
    client = store_of(places).client()
    client.create_registered_model("net")
    for _ in range(2):
        client.create_model_version("net", source="file:///model", run_id=run_id)
    overview = last_runs(places, EXPERIMENT, 10, ADDRESS)
    (line,) = overview.runs
    metrics = client.get_run(run_id).data.metrics
    assert {name: metrics[name] for name in line.figures} == line.figures
    assert set(line.figures) == {
        "test.auc", "test.auc_low", "test.auc_high", "test.accuracy", "test.sensitivity", "test.specificity",
        "validation.auc",
    }  # fmt: skip
    assert (line.run_id, line.name, line.status, line.recipe) == (run_id, "quick-abc", "finished", "quick")
    assert line.versions == ("net/1", "net/2")
    assert line.finished is not None and abs((datetime.now(UTC) - line.finished).total_seconds()) < 120
    row = dict(zip(COLUMNS, line.row(), strict=True))
    assert row["run"] == f"quick-abc\n{run_id[:8]}\nnet/1\nnet/2"
    assert row["auc"].startswith(f"{metrics['test.auc']:.3f} ({metrics['test.auc_low']:.3f} to ")
    assert row["status"].startswith("finished 2")
    assert line.as_json()["finished"] == line.finished.isoformat()
    assert overview.page.startswith(f"{ADDRESS}/#/experiments/") and not overview.is_served


def test_a_run_without_figures_is_listed_too_the_newest_first(places: Places) -> None:
    store = store_of(places)
    client = store.client()
    experiment = store.experiment(client, EXPERIMENT)
    runs = [
        client.create_run(experiment, run_name=f"run{number}", start_time=1_000 + number).info.run_id
        for number in range(3)
    ]
    client.create_run(experiment, run_name="fold", start_time=9_000, tags={"mlflow.parentRunId": runs[0]})
    overview = last_runs(places, EXPERIMENT, 3, ADDRESS)
    assert [line.name for line in overview.runs] == ["fold", "run2", "run1"]
    assert overview.runs[0].parent == runs[0]
    assert overview.runs[0].row()[0].startswith("  fold\n  ")
    assert overview.runs[1].row()[1:] == ("-", "running", "-", "-", "-", "-", "-")
    assert overview.runs[1].as_json()["finished"] is None


def test_an_experiment_that_is_not_there_is_one_line(places: Places) -> None:
    with pytest.raises(RegistryError, match="^--experiment must be one of Default. Received: nowhere$"):
        last_runs(places, "nowhere", 3, ADDRESS)


def test_listing_gives_an_older_experiment_its_view(places: Places) -> None:
    client = store_of(places).client()
    older = client.create_experiment("older")
    assert pages(places, ADDRESS) == {}
    page = last_runs(places, "older", 3, ADDRESS).page
    assert VIEW_TAG in client.get_experiment(older).tags
    assert pages(places, ADDRESS) == {"older": page}
