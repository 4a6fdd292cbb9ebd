"""The registry's moves as flows: how they end, what Prefect's UI is told, and its form. One judgement for all of it."""

from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import State

from flows.commands.promoting import require_challenger
from flows.promotion import promote, rollback
from tests.xray.promotion.contenders import NAME, prejudiced
from xray.config import Promotion, Workspace
from xray.errors import DataError, RegistryError, XrayError
from xray.promotion.decision_log import DecisionLog

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, phantoms: Path) -> Workspace:
    """Two versions that every floor refuses."""
    return prejudiced(tmp_path_factory.mktemp("promotion"), phantoms)


def ended(flow: Any, **parameters: Any) -> State[Any]:
    return cast(State[Any], flow(**parameters, return_state=True))


def artifact(state: State[Any]) -> str:
    only_this = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        (found,) = [each for each in client.read_artifacts(artifact_filter=only_this) if each.key == "decision"]
    return str(found.data)


@pytest.fixture(scope="module")
def refused(prefect_server: None, home: Workspace) -> State[Any]:
    return ended(promote, model_name=NAME, home=home.home)


@pytest.fixture(scope="module")
def forced(refused: State[Any], home: Workspace, tmp_path_factory: pytest.TempPathFactory) -> State[Any]:
    """Where its scans are not, so that nothing can be judged."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    return ended(promote, version=1, force=True, reason="a test", data=nowhere, model_name=NAME, home=home.home)


def test_a_refusal_is_a_normal_end_that_says_why(refused: State[Any]) -> None:
    assert (refused.is_completed(), refused.name) == (True, "Refused")
    assert f"{NAME} version 2 refused: specificity must be at least 0.5. Received: 0.000" in str(refused.message)
    assert refused.result().record.verdict == "refused"


def test_prefect_shows_the_rules_as_an_artifact(refused: State[Any]) -> None:
    text = artifact(refused)
    assert "| specificity must be at least 0.5 | 0.000 (0.000 to 0.000) | no |" in text
    assert "test-set evaluation 1" in text and "Previous: none" in text


def test_force_promotes_what_cannot_be_judged_and_says_so(forced: State[Any]) -> None:
    assert forced.name == "Promoted"
    assert "a test (forced; not evaluated: every scan of the evaluation must be there unchanged" in str(forced.message)
    assert "not evaluated" in artifact(forced)


def test_the_record_names_the_flow_run(forced: State[Any]) -> None:
    assert forced.result().record.draft.flow_run == str(forced.state_details.flow_run_id)


def test_what_cannot_be_judged_fails_without_force(forced: State[Any], home: Workspace, tmp_path: Path) -> None:
    state = ended(promote, version=2, data=tmp_path, model_name=NAME, home=home.home)
    assert state.is_failed()
    with pytest.raises(DataError, match="every scan of the evaluation must be there unchanged"):
        state.result()


def test_a_rollback_without_one_before_fails_in_one_line_and_with_one_returns(
    forced: State[Any], home: Workspace, tmp_path: Path
) -> None:
    state = ended(rollback, model_name=NAME, home=home.home)
    assert state.is_failed()
    with pytest.raises(RegistryError, match="Received: version 1, which is the first$"):
        state.result()
    ended(promote, version=2, force=True, reason="a test", data=tmp_path, model_name=NAME, home=home.home)
    state = ended(rollback, reason="it was no better", model_name=NAME, home=home.home)
    assert (state.name, state.message) == ("Returned", f"{NAME} version 1 returned: it was no better")


def test_a_command_that_names_no_version_is_told_what_to_type(forced: State[Any], home: Workspace) -> None:
    DecisionLog(home, NAME).end_challenge("2")
    typed = f"promote 2 --model-name {NAME} --home {home.home}"
    with pytest.raises(
        XrayError, match=f"name a version, such as .*xray {typed}, because .* Received: no version of {NAME} has it$"
    ):
        require_challenger(home.home, NAME, None)
    with pytest.raises(RegistryError, match="a version must be registered. Received: .* version 9"):
        require_challenger(home.home, NAME, 9)


@pytest.mark.parametrize("flow", [promote, rollback])
def test_prefects_form_has_a_default_and_a_description_for_every_field(flow: Any) -> None:
    schema = flow.parameters.model_dump()
    assert schema["required"] == []
    described = {name: field.get("description") for name, field in schema["properties"].items()}
    assert [name for name, words in described.items() if not words] == []


def test_the_form_shows_the_policy_with_its_bounds() -> None:
    policy = promote.parameters.model_dump()["definitions"]["Promotion"]["properties"]
    assert set(policy) == set(Promotion.model_fields)
    assert (policy["margin_specificity"]["minimum"], policy["margin_specificity"]["default"]) == (0, 0.1)
    assert all(field["description"] for field in policy.values())
