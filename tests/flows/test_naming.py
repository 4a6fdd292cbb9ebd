"""A run of a flow is found by its name and its tags."""

import re
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from flows.naming import run_name, tagged
from xray.config import Request, load_config

pytestmark = pytest.mark.usefixtures("prefect_server")


def run_of(name: str, body: Any, **parameters: Any) -> FlowRun:
    """Run a flow of ours in small, and give what Prefect's server knows of its run."""
    made = flow(name=name, flow_run_name=run_name, persist_result=False)(tagged(body))
    state: Any = made(**parameters, return_state=True)
    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def trained(request: Request) -> None:
    """The parameters of a flow that trains."""


def moved(version: int | None = None, model_name: str = "xray-classifier") -> None:
    """The parameters of a promotion."""


def scored(inbox: Path, model_name: str = "xray-classifier") -> None:
    """The parameters of scoring."""


def test_a_training_bears_its_recipe_its_data_its_time_and_its_id(tmp_path: Path) -> None:
    request = Request(data=tmp_path / "my scans", home=tmp_path, config=load_config("quick"))
    found = run_of("pipeline", trained, request=request)
    assert re.fullmatch(rf"quick on my scans, 20\d\d-\d\d-\d\d \d\d:\d\d UTC, {str(found.id)[:8]}", found.name)
    assert set(found.tags) == {"training", "recipe:quick", "data:my scans"}


def test_two_runs_of_the_same_have_two_names(tmp_path: Path) -> None:
    request = Request(data=tmp_path, home=tmp_path, config=load_config("quick"))
    assert run_of("tune", trained, request=request).name != run_of("tune", trained, request=request).name


def test_tags_that_are_there_already_stay(tmp_path: Path) -> None:
    with tags("ours"):
        found = run_of("score", scored, inbox=tmp_path / "inbox")
    assert set(found.tags) == {"ours", "scoring", "model:xray-classifier", "data:inbox"}
    assert found.name.startswith("xray-classifier on inbox, ")


def test_a_promotion_bears_its_version_where_one_is_named() -> None:
    assert run_of("promote", moved, version=3).name.startswith("xray-classifier version 3, ")
    assert set(run_of("rollback", moved).tags) == {"registry", "model:xray-classifier"}


def test_parameters_that_are_refused_have_a_name_all_the_same() -> None:
    made = flow(name="pipeline", flow_run_name=run_name, persist_result=False)(tagged(trained))
    state: Any = made(request={"data": "scans", "config": {"recipe": "nosuch", "training": 3}}, return_state=True)
    assert state.is_failed()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(state.state_details.flow_run_id).name
