"""The search as a flow: what it gives, what it reuses, and what Prefect is and is not told."""

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from pydantic import SecretStr

from flows.tuning import tune
from xray.config import Request, load_config
from xray.tuning.search_space import Choices, Range, Search

SETTINGS = ["images.height=32", "images.width=32", "training.epochs=1", "registry.experiment=a-test"]
SEARCH = Search(
    space={"training.learning_rate": Range(low=1e-4, high=1e-2, log=True), "images.height": Choices(choices=(32, 48))},
    trials=2,
)
PREPARED = ["normalize", "audit and split"] * 2
TASKS = sorted(["clean", *PREPARED, "open study", "trial 1 of 2", "trial 2 of 2", "summarize"])
PASSWORD = "opensesame"

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Run:
    """A flow run that has ended: its result, each task run's name and state, its artifacts and its parameters."""

    result: Any
    tasks: list[tuple[str, str]]
    artifacts: dict[str, str]
    parameters: dict[str, Any]


def run_of(request: Request, tasks: int, **more: Any) -> Run:
    state = cast(State[Any], tune(request, return_state=True, **more))
    flow_run = cast(UUID, state.state_details.flow_run_id)
    deadline = time.monotonic() + 120
    with get_client(sync_client=True) as client:
        while True:
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
            if len(runs) == tasks and all(run.state and run.state.is_final() for run in runs):
                break
            assert time.monotonic() < deadline, [(run.name, run.state_name) for run in runs]
            time.sleep(0.2)
        only_this = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
        artifacts = client.read_artifacts(artifact_filter=only_this, limit=50)
        parameters = client.read_flow_run(flow_run).parameters
    names = [run.name if run.name.startswith("trial") else run.name.rpartition("-")[0] for run in runs]
    return Run(
        state.result(),
        sorted((name, str(run.state_name)) for name, run in zip(names, runs, strict=True)),
        {str(artifact.key): str(artifact.data) for artifact in artifacts},
        parameters,
    )


@pytest.fixture(scope="module")
def request_of(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    return Request(data=phantoms, home=tmp_path_factory.mktemp("home"), config=load_config("quick", SETTINGS))


@pytest.fixture(scope="module")
def first(prefect_server: None, request_of: Request) -> Run:
    return run_of(request_of, len(TASKS), search=SEARCH)


def test_each_trial_is_a_task_and_each_searched_size_is_decoded_once(first: Run, request_of: Request) -> None:
    assert [name for name, _ in first.tasks] == TASKS
    # the other size's catalog is the same, for it names scans and not pixels
    assert [name for name, state in first.tasks if state != "Completed"] == ["audit and split"]
    assert len(list(request_of.workspace.pixels.iterdir())) == 2
    assert {line["images.height"] for line in first.result.lines} <= {32, 48}


def test_the_same_again_trains_nothing(first: Run, request_of: Request) -> None:
    tasks = [name for name in TASKS if not name.startswith("trial")]
    again = run_of(request_of, len(tasks), search=SEARCH)
    assert again.tasks == [(name, "Reused") for name in tasks]
    assert (again.result.run_id, again.result.lines) == (first.result.run_id, first.result.lines)


def test_prefect_shows_the_trials(first: Run) -> None:
    rows = json.loads(first.artifacts["trials"])
    assert [row["state"] for row in rows] == ["complete", "complete"]
    assert [row["trial"] for row in rows] == [str(line["trial"]) for line in first.result.lines]


def test_prefect_is_not_told_the_databases_password(request_of: Request, tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    address = SecretStr(f"sqlite:///{database}?uri=false&name={PASSWORD}")
    search = Search(space={"training.learning_rate": Range(low=1e-4, high=1e-2)}, trials=1)
    run = run_of(request_of, 6, search=search, storage=address)
    assert database.is_file()
    assert run.parameters["storage"]
    assert PASSWORD not in json.dumps([run.parameters, run.artifacts])
    with sqlite3.connect(request_of.workspace.mlruns / "mlflow.db") as runs:
        assert not [line for line in runs.iterdump() if PASSWORD in line]


def test_prefects_form_asks_for_the_request_alone_and_describes_the_rest() -> None:
    schema = tune.parameters.model_dump()
    assert schema["required"] == ["request"]
    assert all(schema["properties"][name]["description"] for name in ("request", "search", "storage", "dask"))


def test_it_takes_its_parameters_as_the_form_sends_them(request_of: Request) -> None:
    sent = {"request": request_of.model_dump(mode="json"), "search": SEARCH.model_dump(mode="json")}
    taken = tune.validate_parameters({**sent, "storage": "sqlite:///study.db", "dask": None})
    address = SecretStr("sqlite:///study.db")
    assert taken == {"request": request_of, "search": SEARCH, "storage": address, "dask": None}
