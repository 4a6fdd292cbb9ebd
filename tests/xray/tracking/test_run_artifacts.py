"""What a run keeps beside its epochs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from xray.config import Workspace
from xray.errors import RegistryError
from xray.tracking.run_artifacts import Evidence, log_evidence, log_metrics, metrics_in_file
from xray.tracking.tracker import Tracker


def test_done_twice_it_is_there_once(opened: Callable[[], Tracker], workspace: Workspace, tmp_path: Path) -> None:
    audit = tmp_path / "audit.json"
    audit.write_text("{}")
    picture = tmp_path / "roc.png"
    Figure().savefig(picture)
    scores = pd.DataFrame({"image_id": ["a.png", "b.png"], "p_pneumonia": [0.25, 0.75]})
    evidence = Evidence({"test.auc": 0.9, "test.tp": 3}, [picture], scores, "# card", {"report.html": "<p>"}, [audit])
    tracker = opened()
    for name in ("one", "another"):
        log_evidence(tracker, name, lambda: evidence)

    client, run_id = tracker.require()
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "test.auc")] == [(0, 0.9)]
    artifacts = {each.path for each in client.list_artifacts(run_id)}
    assert artifacts == {
        "audit.json", "figures", "metrics.json", "model_card.md", "report.html", "scores.json", "scores.parquet"
    }  # fmt: skip
    assert [each.path for each in client.list_artifacts(run_id, "figures")] == ["figures/roc.png"]
    kept = pd.read_parquet(client.download_artifacts(run_id, "scores.parquet", str(tmp_path)))
    pd.testing.assert_frame_equal(kept, scores)
    shown = pd.read_json(client.download_artifacts(run_id, "scores.json", str(tmp_path)), orient="split")
    assert list(shown["image_id"]) == ["b.png", "a.png"], "the highest score first"
    assert client.get_run(run_id).data.tags["mlflow.note.content"] == "# card"


def test_a_figure_that_is_there_stays_and_a_new_one_is_added(opened: Callable[[], Tracker]) -> None:
    def evidence(score: float, **more: float) -> Evidence:
        figures = {"test.auc": score, "robustness.noise.auc": score, **more}
        return Evidence(figures, [], pd.DataFrame({"image_id": ["a.png"], "p_pneumonia": [score]}), f"# {score}")

    tracker = opened()
    log_evidence(tracker, "one", lambda: evidence(0.9))
    log_evidence(tracker, "newer code", lambda: evidence(0.5, added=1.0))
    client, run_id = tracker.require()
    run = client.get_run(run_id).data
    assert run.metrics == {"test.auc": 0.9}, "the others are in the file alone"
    assert metrics_in_file(client, run_id) == {"added": 1.0, "robustness.noise.auc": 0.9, "test.auc": 0.9}
    assert list(pd.read_parquet(client.download_artifacts(run_id, "scores.parquet"))["p_pneumonia"]) == [0.9]
    assert run.tags["mlflow.note.content"] == "# 0.5", "told anew"


def test_a_count_that_goes_on_is_renewed(opened: Callable[[], Tracker]) -> None:
    client, run_id = opened().require()
    for count in (1, 2):
        log_metrics(client, run_id, {"trials.complete": count}, renewed=True)
    log_metrics(client, run_id, {"trials.complete": 3})
    assert client.get_run(run_id).data.metrics == {"trials.complete": 2}


def test_what_is_there_under_its_name_is_not_made_again(opened: Callable[[], Tracker]) -> None:
    made: list[str] = []

    def make(card: str) -> Evidence:
        made.append(card)
        return Evidence({}, [], pd.DataFrame({"image_id": ["a.png"]}), card)

    tracker = opened()
    for name, card in (("one", "# first"), ("one", "# never made"), ("two", "# second")):
        log_evidence(tracker, name, partial(make, card))
    client, run_id = tracker.require()
    assert made == ["# first", "# second"]
    assert client.get_run(run_id).data.tags["mlflow.note.content"] == "# second"


def test_evidence_that_was_cut_short_is_sent_again(opened: Callable[[], Tracker], tmp_path: Path) -> None:
    scores = pd.DataFrame({"image_id": ["a.png"]})
    late = tmp_path / "audit.json"
    evidence = Evidence({}, [], scores, "# card", files=[late])
    tracker = opened()
    with pytest.raises(RegistryError):
        log_evidence(tracker, "one", lambda: evidence)
    late.write_text("{}")
    log_evidence(tracker, "one", lambda: evidence)
    client, run_id = tracker.require()
    assert "audit.json" in {each.path for each in client.list_artifacts(run_id)}
