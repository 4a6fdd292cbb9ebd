"""The pipeline as a flow: what it gives, what it reuses, and what Prefect's UI is told. One training for all of it."""

import time
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import Artifact, State, TaskRun

from flows.pipeline import pipeline, prepare
from xray.config import Request, load_config
from xray.errors import TrainingError

TASKS = ["clean", "normalize", "audit and split", "train", "evaluate", "inspect", "register"]
SEED_TASKS = [*TASKS[:3], "fold 0, seed 0", "fold 0, seed 1", "combine", *TASKS[4:]]
SCANS = 80
SETTINGS = [
    "images.height=32",
    "images.width=32",
    "training.epochs=2",
    "evaluation.bootstrap_draws=100",
    "registry.experiment=a-test",
    "registry.model_name=a-test",
]

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(600), pytest.mark.long(30)]


@dataclass(frozen=True)
class Run:
    """A flow run that has ended.

    Attributes:
        id: Prefect's.
        result: What the flow gave.
        tasks: Its task runs, by the task's name.
        artifacts: Its artifacts, by their key.
    """

    id: UUID
    result: Any
    tasks: dict[str, TaskRun]
    artifacts: dict[str, Artifact]


def ended(state: State[Any], result: Any = None, least: int = len(TASKS)) -> Run:
    """Ask Prefect's API for a flow run, once it knows how each of its tasks ended: it learns that a little later."""
    flow_run = cast(UUID, state.state_details.flow_run_id)
    only_this = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
    deadline = time.monotonic() + 120
    with get_client(sync_client=True) as client:
        while True:
            runs = client.read_task_runs(flow_run_filter=only_this)
            if len(runs) >= least and all(run.state and run.state.is_final() for run in runs):
                break
            assert time.monotonic() < deadline, [(run.name, run.state_name) for run in runs]
            time.sleep(0.5)
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run])), limit=50
        )
    # a seed's task has a name of its own, without Prefect's number
    tasks = {run.name if run.name.startswith("fold") else run.name.rpartition("-")[0]: run for run in runs}
    return Run(flow_run, result, tasks, {str(artifact.key): artifact for artifact in found})


def state_after(request: Request) -> State[Any]:
    return cast(State[Any], pipeline(request, return_state=True))


def run_of(request: Request, least: int = len(TASKS)) -> Run:
    state = state_after(request)
    return ended(state, state.result(), least)


@pytest.fixture(scope="module")
def request_of(tmp_path_factory: pytest.TempPathFactory) -> Request:
    """Phantoms of 64 x 64, one of them spoilt, and a home of their own."""
    from xray.data.phantoms.write_phantoms import write_phantoms

    root = tmp_path_factory.mktemp("pipeline")
    write_phantoms(root / "scans", scans=SCANS, seed=0, size=(64, 64))
    next((root / "scans" / "train").glob("person*.jpeg")).write_bytes(b"<html>no scan</html>")
    return Request(data=root / "scans", home=root / "home", config=load_config("quick", SETTINGS))


@pytest.fixture(scope="module")
def first(prefect_server: None, request_of: Request) -> Run:
    return run_of(request_of)


@pytest.fixture(scope="module")
def second(first: Run, request_of: Request) -> Run:
    return run_of(request_of)


def test_it_ends_with_a_registered_version(first: Run) -> None:
    assert first.result.registered.version == "1"
    assert not first.result.registered.reused
    assert {name: run.state_name for name, run in first.tasks.items()} == dict.fromkeys(TASKS, "Completed")


def test_a_file_that_is_no_scan_is_left_out_and_stops_nothing(first: Run, request_of: Request) -> None:
    from xray.data.catalog import Catalog

    folders = list(request_of.workspace.prepared.iterdir())
    rejects = Catalog(folders[0], folders[0].name, request_of.data, reused=True).rejects()
    assert len(folders) == 1
    assert list(rejects["reason"]) == ["not-an-image"]
    assert "an HTML page" in rejects["detail"].item()


def test_the_same_again_reuses_everything(first: Run, second: Run) -> None:
    assert {name: run.state_name for name, run in second.tasks.items()} == dict.fromkeys(TASKS, "Reused")


def test_the_same_again_decodes_and_trains_nothing_and_says_so(second: Run) -> None:
    said = {name: run.state.message for name, run in second.tasks.items() if run.state}
    assert str(said["normalize"]).startswith("0 decoded, 80 reused")
    assert str(said["train"]).startswith("0 epochs trained")


def test_the_same_again_gives_the_same_run_version_and_scores(first: Run, second: Run) -> None:
    assert second.result.run_id == first.result.run_id
    assert second.result.registered == replace(first.result.registered, reused=True)
    assert second.result.evaluated == replace(first.result.evaluated, reused=True)


def test_prefect_shows_the_audit_and_the_figures_as_tables(first: Run) -> None:
    assert "identical pixels" in str(first.artifacts["audit"].data)
    assert "accuracy" in str(first.artifacts["test-metrics"].data)
    assert {first.artifacts[key].type for key in ("audit", "test-metrics")} == {"table"}


@pytest.mark.parametrize("key", ["progress-scans", "progress-epochs"])
def test_prefect_shows_progress_that_reaches_its_end_whether_done_or_reused(key: str, first: Run, second: Run) -> None:
    for run in (first, second):
        assert (run.artifacts[key].type, run.artifacts[key].data) == ("progress", 100.0)


def test_prefect_points_to_the_mlflow_run(first: Run) -> None:
    assert first.result.run_id in str(first.artifacts["mlflow-run"].data)


def test_the_mlflow_run_names_its_flow_run(first: Run, second: Run, request_of: Request) -> None:
    from xray.tracking.store import store_of

    run = store_of(request_of.workspace).client().get_run(first.result.run_id)
    assert run.data.tags["prefect_flow_run"] == str(first.id) != str(second.id)


@pytest.fixture(scope="module")
def with_seeds(second: Run, request_of: Request) -> Run:
    config = load_config("quick", [*SETTINGS, "training.seeds=2"])
    return run_of(Request(data=request_of.data, home=request_of.home, config=config), len(SEED_TASKS))


def test_with_seeds_it_trains_the_others_and_registers_one_ensemble(with_seeds: Run, first: Run) -> None:
    reused = [*TASKS[:3], "fold 0, seed 0"]
    assert {name: run.state_name for name, run in with_seeds.tasks.items()} == {
        name: "Reused" if name in reused else "Completed" for name in SEED_TASKS
    }
    assert with_seeds.result.seeds[0].run_id == first.result.run_id
    assert (with_seeds.result.registered.version, with_seeds.result.registered.reused) == ("2", False)
    assert str(with_seeds.tasks["combine"].state.message) == "2 networks averaged"  # type: ignore[union-attr]


def test_with_seeds_prefect_shows_their_spread_and_mlflow_names_the_flow_run(
    with_seeds: Run, request_of: Request
) -> None:
    from xray.tracking.store import store_of

    assert "test auc" in str(with_seeds.artifacts["seeds"].data)
    tags = store_of(request_of.workspace).client().get_run(with_seeds.result.run_id).data.tags
    assert tags["prefect_flow_run"] == str(with_seeds.id)


def test_what_no_training_can_use_is_refused_at_once_and_nothing_is_done_again(
    second: Run, request_of: Request
) -> None:
    config = load_config("quick", [*SETTINGS, "training.batch_size=4096"])
    state = state_after(Request(data=request_of.data, home=request_of.home, config=config))
    assert state.is_failed()
    with pytest.raises(TrainingError, match="at least one batch of 4096 scans"):
        state.result()
    run = ended(state, least=4)
    assert {name: task.state_name for name, task in run.tasks.items()} == {
        "clean": "Reused", "normalize": "Reused", "audit and split": "Reused", "train": "Failed",
    }  # fmt: skip
    assert run.tasks["train"].run_count == 1, "bad data is not tried again"


def test_preparing_gives_the_catalog_that_the_whole_way_made(second: Run, request_of: Request) -> None:
    catalog = prepare(request_of)
    assert catalog.reused
    assert set(catalog.rows()["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize("flow", [pipeline, prepare])
def test_prefects_form_shows_fields_bounds_and_descriptions(flow: Any) -> None:
    schema = flow.parameters.model_dump()
    assert schema["required"] == ["request"]
    epochs = schema["definitions"]["Training"]["properties"]["epochs"]
    assert (epochs["minimum"], epochs["maximum"], epochs["default"]) == (1, 10_000, 60)
    assert epochs["description"] == "Maximum number of epochs."
    undescribed = [
        f"{section}.{name}"
        for section, definition in schema["definitions"].items()
        for name, field in definition.get("properties", {}).items()
        if section not in {"Request", "Config"} and not field.get("description")
    ]
    assert undescribed == []


def test_a_flow_takes_its_configuration_as_the_form_sends_it(request_of: Request) -> None:
    sent = request_of.model_dump(mode="json")
    assert pipeline.validate_parameters({"request": sent}) == {"request": request_of, "dask": None}
