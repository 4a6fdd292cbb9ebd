"""One MLflow run holds the whole story, and one version its network."""

import hashlib
import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path

import pandas as pd
import pytest

from tests.xray.conftest import Learned
from xray.config import Config, Workspace
from xray.errors import TrainingError
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.inspection.inspect import Inspected
from xray.evaluation.reporting.at_a_glance import CARDS, NUMBERS
from xray.evaluation.reporting.captions import CAPTIONS
from xray.evaluation.reporting.model_card import SAFETY
from xray.evaluation.reporting.run_report import HEADLINE, PHANTOMS
from xray.runs.run_context import RunContext
from xray.runs.run_tags import run_facts
from xray.runs.training_run import Recorded, record, train_and_track
from xray.scoring.select_model import score_files
from xray.tracking.run_artifacts import Evidence, log_evidence, metrics_in_file
from xray.tracking.run_config import CHANGED_TAG
from xray.tracking.store import store_of
from xray.tracking.tracker import open_run
from xray.training.fit import Trained

pytestmark = pytest.mark.long(35)


def test_the_run_holds_params_epochs_figures_data_and_files(
    recorded: Recorded, trained: Trained, evaluated: Evaluated, home: Workspace, prepared: Learned
) -> None:
    client = store_of(home).client()
    run = client.get_run(recorded.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "2"
    assert run.data.tags["prefect_flow_run"] == "a-flow-run"
    assert run.data.tags["catalog"] == prepared.catalog.digest
    assert run.inputs is not None
    assert run.inputs.dataset_inputs[0].dataset.digest == prepared.catalog.digest
    losses = [(each.step, each.value) for each in client.get_metric_history(recorded.run_id, "val_loss")]
    assert losses == [(epoch.epoch, epoch.val_loss) for epoch in trained.history().epochs]
    assert run.data.metrics["test.auc"] == evaluated.report()["metrics"]["test.auc"]
    assert {each.path for each in client.list_artifacts(recorded.run_id)} >= {
        "audit.json", "evaluation.json", "figures", "history.json", "inspection.json", "model_card.md",
        "rejects.parquet", "report.html", "scores.parquet",
    }  # fmt: skip
    plots = {Path(each.path).stem for each in client.list_artifacts(recorded.run_id, "figures")}
    assert plots == set(CAPTIONS) - {"class_confusion", "class_rocs"}, "those of more classes than two"


def test_the_run_holds_what_was_seen_inside_and_how_often_test_was_looked_at(
    recorded: Recorded, inspected: Inspected, home: Workspace
) -> None:
    metrics = store_of(home).client().get_run(recorded.run_id).data.metrics
    seen = inspected.report()["metrics"]
    assert metrics["shortcut.marked"] == seen["shortcut.marked"]
    assert metrics["looks"] == 1


def test_the_version_bears_the_digests_and_the_card(recorded: Recorded, home: Workspace, trained: Trained) -> None:
    version = store_of(home).client().get_model_version(recorded.registered.name, recorded.registered.version)
    assert version.tags["training"] == trained.digest
    assert version.tags["recipe"] == "quick"
    assert "never replaces it" in str(version.description)
    assert not recorded.registered.challenger


def test_the_versions_first_line_is_one_of_its_own_figures(
    recorded: Recorded, evaluated: Evaluated, home: Workspace, prepared: Learned
) -> None:
    client = store_of(home).client()
    version = client.get_model_version(recorded.registered.name, recorded.registered.version)
    metrics = evaluated.report()["metrics"]
    first, blank, heading, *_ = str(version.description).splitlines()
    assert first == (
        f"auc {metrics['test.auc']:.3f}, accuracy {metrics['test.accuracy']:.3f}, sensitivity "
        f"{metrics['test.sensitivity']:.3f}, specificity {metrics['test.specificity']:.3f} on "
        f"{len(prepared.catalog.rows('test'))} TEST scans of {prepared.catalog.data.name}, recipe quick"
    )
    assert (blank, heading) == ("", f"# {recorded.registered.name}")
    assert SAFETY in str(client.get_registered_model(recorded.registered.name).description)


def test_every_figure_of_the_card_is_the_runs(recorded: Recorded, home: Workspace) -> None:
    client = store_of(home).client()
    metrics = metrics_in_file(client, recorded.run_id)
    card = str(client.get_model_version(recorded.registered.name, recorded.registered.version).description)
    rows = re.findall(r"^\| ([a-z0-9 ]+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", card, re.MULTILINE)
    assert {name.replace(" ", "_") for name, *_ in rows} == {name for name in HEADLINE if f"test.{name}_low" in metrics}
    for name, *said in rows:
        key = f"test.{name.replace(' ', '_')}"
        assert said == [f"{metrics[key + end]:.3f}" for end in ("", "_low", "_high")]
    assert f"The threshold, {metrics['test.threshold']:.4f}," in card
    assert f"a temperature of {metrics['temperature']:.3f}" in card
    assert "used for evaluation 1 time, this one included" in card


def test_every_headline_figure_of_the_page_is_the_runs(recorded: Recorded, home: Workspace, tmp_path: Path) -> None:
    client = store_of(home).client()
    metrics = client.get_run(recorded.run_id).data.metrics
    page = Path(client.download_artifacts(recorded.run_id, "report.html", str(tmp_path))).read_text(encoding="utf-8")
    values = {name: metrics[f"test.{name}"] for name in CARDS if f"test.{name}" in metrics}
    assert {"auc", "sensitivity", "specificity", "referred"} <= set(values)
    for name, value in values.items():
        assert (f"{value:.3f}" if name in NUMBERS else f"{value:.1%}") in page
    assert escape(SAFETY) in page


def test_the_page_says_what_it_is_of_and_that_phantoms_are_nobody(
    recorded: Recorded, home: Workspace, tmp_path: Path
) -> None:
    client = store_of(home).client()
    page = Path(client.download_artifacts(recorded.run_id, "report.html", str(tmp_path))).read_text(encoding="utf-8")
    name, version = recorded.registered.name, recorded.registered.version
    assert f"<h1>{name} version {version}, recipe quick</h1>" in page
    for words in (recorded.run_id, "xray ui", PHANTOMS, "used for evaluation 1 time, this one included"):
        assert escape(words) in page


def test_recorded_again_it_is_the_same_run_and_version(
    recorded: Recorded, trained: Trained, evaluated: Evaluated, home: Workspace, prepared: Learned
) -> None:
    again = record(trained, evaluated, prepared.catalog, prepared.config, RunContext(home))
    assert again.run_id == recorded.run_id
    assert again.registered.version == recorded.registered.version
    assert again.registered.reused


def test_another_evaluation_of_a_training_has_a_run_and_a_version_of_its_own(
    recorded: Recorded, recorded_strictly: Recorded, trained: Trained, strict: Config, home: Workspace
) -> None:
    client = store_of(home).client()
    first, other = client.get_run(recorded.run_id), client.get_run(recorded_strictly.run_id)
    assert first.info.run_id != other.info.run_id
    assert other.info.status == "FINISHED"
    assert recorded_strictly.registered.version != recorded.registered.version
    version = client.get_model_version(recorded_strictly.registered.name, recorded_strictly.registered.version)
    assert version.run_id == other.info.run_id
    assert other.data.params["evaluation.threshold"] == "sensitivity>=0.98"
    assert {name: other.data.params[name] for name in first.data.params if not name.startswith("evaluation")} == {
        name: value for name, value in first.data.params.items() if not name.startswith("evaluation")
    }
    assert CHANGED_TAG not in other.data.tags and CHANGED_TAG not in first.data.tags
    assert (other.data.tags["training_run"], other.data.tags["training"]) == (first.info.run_id, trained.digest)
    assert {name: other.data.tags[name] for name in ("catalog", "normalizer")} == {
        name: first.data.tags[name] for name in ("catalog", "normalizer")
    }
    losses = [(each.step, each.value) for each in client.get_metric_history(other.info.run_id, "val_loss")]
    assert losses == [(epoch.epoch, epoch.val_loss) for epoch in trained.history().epochs]
    for run, evaluated in ((first, recorded.evaluated), (other, recorded_strictly.evaluated)):
        figures = evaluated.report()["metrics"]
        for name in ("test.threshold", "test.sensitivity", "test.calibration_error"):
            assert run.data.metrics[name] == figures[name]
    assert first.data.metrics["test.threshold"] != other.data.metrics["test.threshold"]
    assert (first.data.metrics["looks"], other.data.metrics["looks"]) == (1, 2)


def test_the_first_settings_again_find_the_first_run_and_change_nothing(
    recorded: Recorded, recorded_strictly: Recorded, trained: Trained, home: Workspace, prepared: Learned
) -> None:
    client = store_of(home).client()
    record(trained, recorded.evaluated, prepared.catalog, prepared.config, RunContext(home))
    before = [client.get_run(each.run_id) for each in (recorded, recorded_strictly)]
    again = record(trained, recorded.evaluated, prepared.catalog, prepared.config, RunContext(home))
    assert (again.run_id, again.registered.version) == (recorded.run_id, recorded.registered.version)
    assert again.registered.reused
    for run in before:
        now = client.get_run(run.info.run_id)
        assert now.data.to_dictionary() == run.data.to_dictionary()
        assert now.info.end_time == run.info.end_time


def test_newer_code_adds_evidence_and_moves_no_figure_and_no_score(
    recorded: Recorded, trained: Trained, home: Workspace, prepared: Learned, tmp_path: Path
) -> None:
    client = store_of(home).client()

    def files(folder: str) -> dict[str, str]:
        names = ("metrics.json", "scores.parquet", "evaluation.json", "inspection.json")
        target = tmp_path / folder
        target.mkdir()
        paths = {name: Path(client.download_artifacts(recorded.run_id, name, str(target))) for name in names}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}

    metrics, kept = client.get_run(recorded.run_id).data.metrics, files("before")
    figures = {**metrics, "test.auc": 0.5, "looks": 9.0, "new.figure": 1.0}
    evidence = Evidence(figures, [], pd.DataFrame({"a": [1]}), "# new card")
    facts = run_facts(prepared.catalog, prepared.config, trained.digest, RunContext(home), recorded.evaluated.digest)
    tracker = open_run(home, trained.folder, facts)
    log_evidence(tracker, "newer code", lambda: evidence)
    run = client.get_run(recorded.run_id)
    assert run.data.metrics == metrics
    assert run.data.tags["mlflow.note.content"] == "# new card"
    now = files("after")
    assert {name: now[name] for name in now if name != "metrics.json"} == {
        name: kept[name] for name in kept if name != "metrics.json"
    }
    added = metrics_in_file(client, recorded.run_id)
    assert added["new.figure"] == 1.0 and added["test.auc"] == metrics["test.auc"]


def test_a_run_has_few_metrics_and_every_figure_in_a_file(
    recorded: Recorded, evaluated: Evaluated, inspected: Inspected, home: Workspace
) -> None:
    client = store_of(home).client()
    metrics = client.get_run(recorded.run_id).data.metrics
    figures = metrics_in_file(client, recorded.run_id)
    told = {**evaluated.report()["metrics"], **inspected.report()["metrics"]}
    assert len(told) > 400, "or there is nothing to leave out"
    assert len(metrics) < 60
    assert told.items() <= figures.items()
    assert list(figures) == sorted(figures)
    assert {name: metrics[name] for name in metrics if name in figures} == {
        name: figures[name] for name in metrics if name in figures
    }


def test_a_score_from_the_file_is_the_score_from_the_shard(
    recorded: Recorded, evaluated: Evaluated, home: Workspace, prepared: Learned, phantoms: Path
) -> None:
    rows = prepared.catalog.rows("test").head(20)
    answers = score_files(home, recorded.registered.uri, [phantoms / path for path in rows["path"]])
    scores = evaluated.scores().set_index("image_id").loc[rows["image_id"]]
    for answer, (_, score) in zip(answers, scores.iterrows(), strict=True):
        assert answer["p_pneumonia"] == pytest.approx(score["p_pneumonia"], abs=1e-5)
        assert (answer["likeliest_class"], answer["decision"]) == (score["likeliest_class"], score["decision"])


def test_a_refused_second_trainer_leaves_the_firsts_run_alone(prepared: Learned, tmp_path: Path) -> None:
    workspace = Workspace(home=tmp_path)
    seen: list[str] = []

    def second(_done: int, _most: int) -> None:
        with pytest.raises(TrainingError, match="only one process at a time"):
            train_and_track(prepared.catalog, prepared.store, prepared.config, RunContext(workspace))
        (run,) = store_of(workspace).client().search_runs(["1"])
        seen.append(run.info.status)

    train_and_track(prepared.catalog, prepared.store, prepared.config, RunContext(workspace, progress=second))
    assert seen == ["RUNNING", "RUNNING"]


def test_another_experiment_has_a_run_of_its_own(
    recorded: Recorded, trained: Trained, evaluated: Evaluated, home: Workspace, prepared: Learned
) -> None:
    registry = prepared.config.registry.model_copy(update={"experiment": "another"})
    config = prepared.config.model_copy(update={"registry": registry})
    other = record(trained, evaluated, prepared.catalog, config, RunContext(home))
    assert other.experiment_id != recorded.experiment_id
    assert other.run_id != recorded.run_id
    assert record(trained, evaluated, prepared.catalog, prepared.config, RunContext(home)).run_id == recorded.run_id


def test_a_run_without_a_server_says_how_to_see_it(recorded: Recorded) -> None:
    assert recorded.page is None
    assert f"Run {recorded.run_id}, once `xray ui` has started it" in recorded.markdown()


def test_a_run_on_a_server_has_a_link_to_its_page(recorded: Recorded) -> None:
    served = replace(recorded, page="http://127.0.0.1:5000/#/experiments/1/runs/2")
    assert f"[{recorded.run_id}](http://127.0.0.1:5000/#/experiments/1/runs/2)" in served.markdown()


def test_the_answer_is_json(recorded: Recorded, home: Workspace, phantoms: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    page.write_bytes(b"no scan")
    answers = score_files(home, recorded.registered.uri, [next((phantoms / "test").iterdir()), page])
    assert json.loads(json.dumps(answers)) == answers
    assert answers[1]["p_pneumonia"] is None
    assert answers[1]["error"].startswith("not-an-image")
