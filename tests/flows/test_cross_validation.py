"""The cross-validation as a flow: what it gives, what it reuses, and what Prefect's UI is told."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State

from flows.cross_validation import cross_validate
from xray.config import Request, load_config

SETTINGS = [
    "images.height=32",
    "images.width=32",
    "split.folds=2",
    "training.epochs=1",
    "evaluation.bootstrap_draws=100",
    "registry.experiment=a-test",
    "labels.scheme=cause",  # it has every table that the binary scheme has, and one more
]
TASKS = ["clean", "normalize", "split into folds", "fold 0, seed 0", "fold 1, seed 0", "summarize"]

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(600), pytest.mark.long(20)]


@dataclass(frozen=True)
class Run:
    """A flow run that has ended: its result, the state of each task run by its name, and its artifacts' keys."""

    result: Any
    tasks: dict[str, str]
    artifacts: dict[str, str]


def run_of(request: Request) -> Run:
    state = cast(State[Any], cross_validate(request, return_state=True))
    flow_run = cast(UUID, state.state_details.flow_run_id)
    deadline = time.monotonic() + 120
    with get_client(sync_client=True) as client:
        while True:
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
            if len(runs) == len(TASKS) and all(run.state and run.state.is_final() for run in runs):
                break
            assert time.monotonic() < deadline, [(run.name, run.state_name) for run in runs]
            time.sleep(0.2)
        only_this = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
        artifacts = client.read_artifacts(artifact_filter=only_this, limit=50)
    return Run(
        state.result(),
        {run.name if run.name.startswith("fold") else run.name.rpartition("-")[0]: str(run.state_name) for run in runs},
        {str(artifact.key): str(artifact.data) for artifact in artifacts},
    )


@pytest.fixture(scope="module")
def request_of(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    return Request(data=phantoms, home=tmp_path_factory.mktemp("home"), config=load_config("quick", SETTINGS))


@pytest.fixture(scope="module")
def first(prefect_server: None, request_of: Request) -> Run:
    return run_of(request_of)


@pytest.fixture(scope="module")
def second(first: Run, request_of: Request) -> Run:
    return run_of(request_of)


def test_each_fold_is_a_task_and_scans_are_decoded_once(first: Run, request_of: Request) -> None:
    assert first.tasks == dict.fromkeys(TASKS, "Completed")
    assert len(list(request_of.workspace.pixels.iterdir())) == 1
    assert len(list(request_of.workspace.prepared.iterdir())) == 2


def test_the_same_again_reuses_everything(first: Run, second: Run) -> None:
    assert second.tasks == dict.fromkeys(TASKS, "Reused")
    assert second.result.run_id == first.result.run_id


def test_prefect_shows_the_folds_and_the_out_of_fold_figures(first: Run) -> None:
    assert "test auc" in first.artifacts["folds"]
    assert "sensitivity viral" in first.artifacts["out-of-fold"]
    assert "macro auc" in first.artifacts["classes-out-of-fold"]


def test_nothing_is_registered(first: Run, request_of: Request) -> None:
    from xray.tracking.store import store_of

    assert list(store_of(request_of.workspace).client().search_registered_models()) == []


def test_prefects_form_asks_for_the_request_alone_and_describes_the_rest() -> None:
    schema = cross_validate.parameters.model_dump()
    assert schema["required"] == ["request"]
    assert (schema["properties"]["seeds"]["minimum"], schema["properties"]["seeds"]["default"]) == (1, 1)
    assert all(schema["properties"][name]["description"] for name in ("request", "seeds", "dask"))


def test_it_takes_its_parameters_as_the_form_sends_them(request_of: Request) -> None:
    sent = {"request": request_of.model_dump(mode="json"), "seeds": 2, "dask": None}
    assert cross_validate.validate_parameters(sent) == {"request": request_of, "seeds": 2, "dask": None}
