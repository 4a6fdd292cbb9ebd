"""What `prefect.yaml` promises: each deployment loads, takes its parameters, and says nothing that Prefect ignores."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig, WorkPoolConfig
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.workers.process import ProcessJobConfiguration

from flows.naming import KINDS
from flows.servers.server_registry import HEARTBEAT_SECONDS

WHOLE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS = {f"{each['entrypoint'].rpartition('.')[2]}/{each['name']}": each for each in WHOLE["deployments"]}
SUNDAY = 6


def next_runs(deployment: dict[str, Any], count: int) -> list[datetime]:
    """The next times at which the server's scheduler would create runs, by its own arithmetic."""
    import anyio
    from prefect.server.schemas.schedules import CronSchedule as ServerCron

    (schedule,) = deployment["schedules"]
    cron = ServerCron(cron=schedule["cron"], timezone=schedule["timezone"])

    async def dates() -> list[datetime]:
        return list(await cron.get_dates(count, datetime(2026, 1, 1, tzinfo=UTC)))

    return anyio.run(dates)


def test_the_deployments_are_there() -> None:
    names = {f"{load_flow_from_entrypoint(each['entrypoint']).name}/{each['name']}" for each in WHOLE["deployments"]}
    assert names == {
        "pipeline/weekly", "score/nightly", "cross-validate/monthly", "evaluate/on-demand", "promote/on-demand",
        "rollback/on-demand",
    }  # fmt: skip


@pytest.mark.parametrize("name", DEPLOYMENTS)
class TestDeployment:
    def test_its_parameters_are_those_that_its_flow_takes(self, name: str) -> None:
        deployment = DEPLOYMENTS[name]
        flow: Flow[Any, Any] = load_flow_from_entrypoint(deployment["entrypoint"])
        given = deployment.get("parameters", {})
        assert set(given) <= set(flow.parameters.properties)
        assert set(given) <= set(flow.validate_parameters(given))
        assert set(flow.parameters.required or []) <= set(given), "a schedule fills in no form"

    def test_it_has_no_key_that_prefect_would_ignore(self, name: str) -> None:
        deployment = DEPLOYMENTS[name]
        assert set(deployment) <= set(DeploymentConfig.model_fields)
        assert set(deployment["work_pool"]) <= set(WorkPoolConfig.model_fields)
        assert set(deployment["work_pool"]["job_variables"]) <= set(ProcessJobConfiguration.model_fields)
        for schedule in deployment.get("schedules", []):
            assert set(schedule) <= set(RawScheduleConfig.model_fields)

    def test_it_says_what_it_is_for_and_where_it_runs(self, name: str) -> None:
        deployment = DEPLOYMENTS[name]
        assert deployment["description"].endswith(".")
        assert deployment["tags"]
        assert deployment["work_pool"]["name"] == "xray"
        assert deployment["work_pool"]["work_queue_name"] in {"cpu", "gpu"}

    def test_each_field_of_its_form_is_described(self, name: str) -> None:
        flow: Flow[Any, Any] = load_flow_from_entrypoint(DEPLOYMENTS[name]["entrypoint"])
        described = {field: facts.get("description") for field, facts in flow.parameters.properties.items()}
        assert [field for field, words in described.items() if not words] == []

    def test_its_tags_are_those_that_its_runs_bear_wherever_they_start(self, name: str) -> None:
        assert DEPLOYMENTS[name]["tags"] == [KINDS[load_flow_from_entrypoint(DEPLOYMENTS[name]["entrypoint"]).name]]

    def test_it_has_no_limit_of_its_own_which_a_restart_of_the_server_would_end_it_by(self, name: str) -> None:
        assert "concurrency_limit" not in DEPLOYMENTS[name]

    def test_its_runs_give_signs_of_life(self, name: str) -> None:
        settings = DEPLOYMENTS[name]["work_pool"]["job_variables"]["env"]
        assert int(settings["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) == HEARTBEAT_SECONDS


def test_the_file_has_no_key_that_prefect_would_ignore() -> None:
    assert set(WHOLE) <= set(PrefectYamlModel.model_fields)


def test_no_folder_of_a_machine_is_written_down() -> None:
    ((step, inputs),) = [next(iter(each.items())) for each in WHOLE["pull"]]
    assert step == "prefect.deployments.steps.set_working_directory"
    assert inputs == {"directory": "{{ $XRAY_HOME }}"}


@pytest.mark.parametrize("name", [name for name, each in DEPLOYMENTS.items() if "schedules" in each])
def test_a_schedule_has_a_time_zone_that_prefect_takes(name: str) -> None:
    for schedule in DEPLOYMENTS[name]["schedules"]:
        assert CronSchedule(**schedule).timezone == "UTC"


def test_training_is_weekly_on_sunday_nights() -> None:
    runs = next_runs(DEPLOYMENTS["pipeline/weekly"], 3)
    assert {(run.weekday(), run.hour) for run in runs} == {(SUNDAY, 22)}
    assert runs[1] - runs[0] == timedelta(days=7)


def test_scoring_is_nightly() -> None:
    runs = next_runs(DEPLOYMENTS["score/nightly"], 3)
    assert runs[1] - runs[0] == timedelta(days=1)


def test_cross_validation_is_on_first_sundays() -> None:
    runs = next_runs(DEPLOYMENTS["cross_validate/monthly"], 6)
    assert {run.weekday() for run in runs} == {SUNDAY}
    assert all(run.day <= 7 for run in runs)
    assert [run.month for run in runs] == [1, 2, 3, 4, 5, 6]
