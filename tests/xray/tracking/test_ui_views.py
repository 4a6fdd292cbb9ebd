"""The view that an experiment of ours brings to MLflow's UI."""

import json
from typing import Any

import pytest
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from tests.xray.tracking.judged_runs import judged_run, scores_of
from xray.config import Workspace, load_config
from xray.tracking.store import store_of
from xray.tracking.ui_views import (
    MOVES,
    NOTE_TAG,
    RUNS_OVER_AN_INBOX,
    TRAININGS,
    VIEW_NAME,
    VIEW_TAG,
    runs_page,
    tags_of,
    view_of,
)
from xray.training.history import Epoch

NAMES = ("xray", "xray-scoring", "xray-classifier-decisions")


def state(experiment: str = "xray") -> dict[str, Any]:
    view = json.loads(tags_of(experiment)[VIEW_TAG])
    assert view["name"] == VIEW_NAME
    return dict(json.loads(view["state"]))


def test_a_new_experiment_bears_the_view_and_one_without_it_gets_it(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    client.create_experiment("older")
    client.create_experiment("outdated", tags={VIEW_TAG: "{}"})
    for name in ("new", "older", "outdated"):
        tags = client.get_experiment(store.experiment(client, name)).tags
        assert tags[VIEW_TAG] == tags_of(name)[VIEW_TAG]
        assert tags[NOTE_TAG] == TRAININGS.about


def test_a_description_that_a_person_wrote_stays(workspace: Workspace) -> None:
    store = store_of(workspace)
    client = store.client()
    client.create_experiment("described", tags={NOTE_TAG: "mine"})
    assert client.get_experiment(store.experiment(client, "described")).tags[NOTE_TAG] == "mine"


def test_runs_over_an_inbox_and_decisions_have_views_of_their_own() -> None:
    assert [view_of(name) for name in NAMES] == [TRAININGS, RUNS_OVER_AN_INBOX, MOVES]
    for name in NAMES[1:]:
        shown = [
            column for column in state(name)["selectedColumns"] if "test." in column or column.startswith("params")
        ]
        assert shown == [], "of a training"


@pytest.mark.parametrize("name", NAMES)
def test_the_view_fits_a_tag(name: str) -> None:
    assert len(tags_of(name)[VIEW_TAG]) <= MAX_EXPERIMENT_TAG_VAL_LENGTH


def test_its_columns_and_charts_are_names_that_runs_bear(workspace: Workspace) -> None:
    run_id = judged_run(workspace, "one", scores_of(0.2))
    run = store_of(workspace).client().get_run(run_id).data
    columns = [column.split(".", 1) for column in state()["selectedColumns"]]
    names = {
        kind: {name.strip("`") for each, name in columns if each == kind} for kind in ("metrics", "params", "tags")
    }
    assert names["metrics"] <= set(run.metrics)
    assert names["params"] == set(TRAININGS.params) <= set(load_config("quick").flat())
    assert names["tags"] <= set(run.tags)
    charts = state()["compareRunCharts"]
    curves = {chart["metricKey"] for chart in charts if chart["type"] == "LINE"}
    assert curves <= set(Epoch.__annotations__)
    assert {chart["metricKey"] for chart in charts if chart["type"] == "BAR"} == names["metrics"]


@pytest.mark.parametrize("name", NAMES)
def test_every_chart_lies_in_a_section_and_has_an_id_of_its_own(name: str) -> None:
    charts, sections = state(name)["compareRunCharts"], state(name)["compareRunSections"]
    assert {chart["metricSectionId"] for chart in charts} <= {section["uuid"] for section in sections}
    assert len({chart["uuid"] for chart in charts}) == len(charts)


def test_the_page_opens_the_view_as_model_training() -> None:
    assert runs_page("http://127.0.0.1:5000/", "7") == (
        "http://127.0.0.1:5000/#/experiments/7/runs?viewStateShareKey=xray&workflowType=machine_learning"
    )
