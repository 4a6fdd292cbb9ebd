"""What Prefect's pages show of a task: always described, and never more than a page."""

from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from tasks import artifacts


@pytest.mark.usefixtures("prefect_server")
def test_each_artifact_says_what_it_is() -> None:
    def body() -> None:
        artifacts.show_table("figures", "The figures.", ("figure", "value"), [("auc", "0.9")])
        artifacts.show_text("text", "A text.", "**told**")
        assert artifacts.make_bar("epochs") is not None

    state: Any = flow(name="shown", persist_result=False)(body)(return_state=True)
    only = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        found = {each.key: each for each in client.read_artifacts(artifact_filter=only)}
    described = {key: each.description for key, each in found.items()}
    assert described == {"figures": "The figures.", "text": "A text.", "progress-epochs": "How many epochs are done."}
    assert '"figure": "auc"' in str(found["figures"].data)


def test_a_server_that_is_away_costs_what_it_would_have_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*given: Any, **named: Any) -> None:
        raise httpx.ConnectError("connection refused")

    for name in ("table", "markdown", "progress"):
        monkeypatch.setattr(artifacts, f"create_{name}_artifact", away)
    artifacts.show_table("figures", "The figures.", ("figure", "value"), [("auc", "0.9")])
    artifacts.show_text("text", "A text.", "**told**")
    assert artifacts.make_bar("epochs") is None
    assert [record.message for record in caplog.records] == [
        "Prefect's server does not answer, the work continues: connection refused"
    ] * 3
