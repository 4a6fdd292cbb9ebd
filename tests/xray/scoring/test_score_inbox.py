"""Only what is new is scored, by its bytes; what is no scan is rejected once; a failure keeps what is finished."""

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xray import config
from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.models.package import Settings
from xray.models.register import Registration, register
from xray.scoring.inbox import Inbox, list_inbox
from xray.scoring.log_to_mlflow import fetch_reference, log_entries, write_reports
from xray.scoring.score_inbox import Scored, score_inbox
from xray.scoring.score_ledger import Entry
from xray.scoring.score_ledger import opened as opened_ledger
from xray.scoring.select_model import SelectedModel, select_model
from xray.tracking.store import store_of
from xray.tracking.tracker import Tracker

pytestmark = pytest.mark.long(20)

NAME = "xray-test"
IMAGES = config.Images(height=32, width=32)
SCANS = 5


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Five scans, one of them delivered twice, and a page."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(SCANS):
        Image.fromarray(generator.integers(0, 256, (40, 40), np.uint8)).save(folder / f"{number}.png")
    shutil.copy(folder / "0.png", folder / "again.png")
    (folder / "page.png").write_text("<html>")
    return folder


@pytest.fixture
def version(opened: Callable[[], Tracker], workspace: Workspace, network: Path) -> Callable[[float], SelectedModel]:
    """Register a version with a threshold, and choose it."""

    def registered(threshold: float) -> SelectedModel:
        registration = Registration(config.Registry(experiment="xray-test", model_name=NAME), {}, "# the card")
        register(opened(), network, Settings.of(IMAGES, DecisionRule.at(threshold)), registration)
        return select_model(workspace, NAME)

    return registered


@pytest.fixture
def entry(version: Callable[[float], SelectedModel], tmp_path: Path) -> Entry:
    """What a run over the inbox left."""
    version(0.5)
    about = {"model_version": f"{NAME}/1", "scored_at": datetime.now(UTC)}
    with opened_ledger(tmp_path / "scores") as ledger:
        for number in range(SCANS):
            score = {"p_pneumonia": 0.5, "decision": "pneumonia", "threshold": 0.5}
            ledger.add([{"image": f"{number}.png", "sha256": str(number), **score, **about}])
        ledger.add([{"image": "page.png", "sha256": "page", "reason": "not-an-image", "detail": "a page", **about}])
        entry = ledger.join()
    assert entry is not None
    return entry


def images(path: Path) -> Sequence[str]:
    return list(pd.read_parquet(path)["image"])


def test_new_once_then_never_again_and_rescored_by_another_version(
    inbox: Path, workspace: Workspace, version: Callable[[float], SelectedModel], tmp_path: Path
) -> None:
    output = tmp_path / "scores"

    def run(choice: SelectedModel, rescore: bool = False) -> Scored:
        return score_inbox(workspace, choice, list_inbox(inbox, workspace), output, rescore)

    first = version(0.5)
    scored = run(first)
    assert scored.entry is not None
    assert images(scored.entry.scores) == [f"{number}.png" for number in range(SCANS)]
    assert images(scored.entry.rejects) == ["page.png"]
    rows = pd.read_parquet(scored.entry.scores)
    assert (rows["model_version"] == f"{NAME}/1").all() and (rows["threshold"] == 0.5).all()
    assert str(rows["scored_at"].dt.tz) == "UTC"

    (inbox / "3.png").rename(inbox / "renamed.png")
    shutil.copy(inbox / "4.png", inbox / "delivered again.png")
    assert run(first).entry is None
    assert len(list(output.glob("*.parquet"))) == 2

    second = version(0.6)
    assert run(second).entry is None, "another version alone is no reason"
    anew = run(second, rescore=True)
    assert anew.entry is not None
    assert (anew.entry.scans, anew.entry.rejected, anew.entry.version) == (SCANS, 1, f"{NAME}/2")
    assert run(second, rescore=True).entry is None


def test_a_file_that_changes_after_it_was_listed_is_left_for_the_next_run(
    inbox: Path, workspace: Workspace, version: Callable[[float], SelectedModel], tmp_path: Path
) -> None:
    choice, found = version(0.5), list_inbox(inbox, workspace)
    Image.new("L", (50, 50), 9).save(inbox / "2.png")
    scored = score_inbox(workspace, choice, found, tmp_path / "scores")
    assert scored.entry is not None
    assert "2.png" not in images(scored.entry.scores)
    with opened_ledger(tmp_path / "scores") as ledger:
        assert ledger.known([list_inbox(inbox, workspace).digests["2.png"]]) == set()


def test_a_link_out_of_the_inbox_is_rejected_once(
    workspace: Workspace, version: Callable[[float], SelectedModel], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    found = Inbox(tmp_path / "empty", {}, {"out.png": "unsafe-name: the link points outside the inbox"})
    choice = version(0.5)
    scored = score_inbox(workspace, choice, found, tmp_path / "scores")
    assert scored.entry is not None
    (reject,) = pd.read_parquet(scored.entry.rejects).to_dict("records")
    assert (reject["image"], reject["reason"]) == ("out.png", "unsafe-name")
    assert pd.isna(reject["sha256"])
    assert score_inbox(workspace, choice, found, tmp_path / "scores").entry is None


def test_mlflow_is_told_once_and_of_a_missing_reference(inbox: Path, workspace: Workspace, entry: Entry) -> None:
    output = entry.folder
    reports = write_reports(output, inbox, config.Drift())
    assert reports[0].values()["remark"].startswith("no drift report")
    (run_id,) = log_entries(workspace, reports, "a flow run")
    assert write_reports(output, inbox, config.Drift()) == []
    client = store_of(workspace).client()
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "xray-test-scoring"
    assert (run.data.metrics["scans"], run.data.metrics["rejects"], run.info.status) == (SCANS, 1, "FINISHED")
    assert run.data.tags["model_version"] == f"{NAME}/1"
    # Killed before it was marked, it is told again into the same run.
    shutil.rmtree(output / ".logged")
    assert log_entries(workspace, write_reports(output, inbox, config.Drift())) == [run_id]
    assert len(client.get_metric_history(run_id, "scans")) == 1


def test_a_reference_travels_from_the_models_run(
    workspace: Workspace, version: Callable[[float], SelectedModel], opened: Callable[[], Tracker], tmp_path: Path
) -> None:
    choice, output = version(0.5), tmp_path / "scores"
    fetch_reference(workspace, f"{NAME}/{choice.version}", None, output)
    assert not output.exists(), "its run keeps none"
    (tmp_path / "reference.parquet").write_bytes(b"a reference")
    client, run_id = opened().require()
    client.log_artifact(run_id, str(tmp_path / "reference.parquet"))
    fetch_reference(workspace, f"{NAME}/{choice.version}", None, output)
    kept = output / ".references" / f"{NAME}-1.parquet"
    assert kept.read_bytes() == b"a reference"

    kept.write_bytes(b"damaged")
    fetch_reference(workspace, f"{NAME}/{choice.version}", None, output)
    assert kept.read_bytes() == b"a reference"
    (aside,) = kept.parent.glob("*.damaged")
    assert aside.read_bytes() == b"damaged"


def test_scores_outlast_an_mlflow_that_went_away(
    inbox: Path, workspace: Workspace, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = entry.folder
    reports = write_reports(output, inbox, config.Drift())
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        away.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(RegistryError, match=r"^the scores are saved in [^\n]+; the next run logs them[^\n]+$"):
            log_entries(workspace, reports)
    assert entry.scores.exists()
    assert len(log_entries(workspace, write_reports(output, inbox, config.Drift()))) == 1
