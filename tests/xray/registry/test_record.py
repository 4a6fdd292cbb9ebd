"""One MLflow run holds the whole story, and one version its network."""

import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from tests.xray.conftest import Learned
from xray.config import Places
from xray.errors import TrainingError
from xray.evaluation.captions import CAPTIONS
from xray.evaluation.glance import CARDS, NUMBERS
from xray.evaluation.inspection import Inspected, inspect
from xray.evaluation.judge import Judged, judge
from xray.registry.card import SAFETY
from xray.registry.choice import resolve, score_files
from xray.registry.record import Recorded, record, train_and_track
from xray.registry.store import store_of
from xray.registry.story import HEADLINE, PHANTOMS
from xray.training.fit import Trained


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places(home=tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def trained(home: Places, prepared: Learned) -> Trained:
    return train_and_track(prepared.catalog, prepared.store, prepared.config, home, flow_run="a-flow-run")


@pytest.fixture(scope="module")
def judged(trained: Trained, prepared: Learned) -> Judged:
    return judge(trained, prepared.catalog, prepared.store, prepared.config)


@pytest.fixture(scope="module")
def inspected(trained: Trained, judged: Judged, prepared: Learned) -> Inspected:
    return inspect(trained, judged, prepared.catalog, prepared.store, prepared.config)


@pytest.fixture(scope="module")
def recorded(trained: Trained, judged: Judged, inspected: Inspected, home: Places, prepared: Learned) -> Recorded:
    return record(trained, judged, prepared.catalog, prepared.config, home)


def test_the_run_holds_params_epochs_figures_data_and_files(
    recorded: Recorded, trained: Trained, judged: Judged, home: Places, prepared: Learned
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
    assert run.data.metrics["test.auc"] == judged.report()["metrics"]["test.auc"]
    assert {each.path for each in client.list_artifacts(recorded.run_id)} >= {
        "audit.json", "evaluation.json", "figures", "history.json", "inspection.json", "model_card.md",
        "rejects.parquet", "report.html", "scores.parquet",
    }  # fmt: skip
    pictures = {Path(each.path).stem for each in client.list_artifacts(recorded.run_id, "figures")}
    assert pictures == set(CAPTIONS) - {"class_confusion", "class_rocs"}, "those of more classes than two"


def test_the_run_holds_what_was_seen_inside_and_how_often_test_was_looked_at(
    recorded: Recorded, inspected: Inspected, home: Places
) -> None:
    metrics = store_of(home).client().get_run(recorded.run_id).data.metrics
    seen = inspected.report()["metrics"]
    assert seen.items() <= metrics.items()
    assert metrics["looks"] == 1


def test_the_version_bears_the_digests_and_the_card(recorded: Recorded, home: Places, trained: Trained) -> None:
    version = store_of(home).client().get_model_version(recorded.registered.name, recorded.registered.version)
    assert version.tags["training"] == trained.digest
    assert version.tags["recipe"] == "quick"
    assert "never replaces it" in str(version.description)
    assert not recorded.registered.challenger


def test_every_figure_of_the_card_is_the_runs(recorded: Recorded, home: Places) -> None:
    client = store_of(home).client()
    metrics = client.get_run(recorded.run_id).data.metrics
    card = str(client.get_model_version(recorded.registered.name, recorded.registered.version).description)
    rows = re.findall(r"^\| ([a-z0-9 ]+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", card, re.MULTILINE)
    assert {name.replace(" ", "_") for name, *_ in rows} == {name for name in HEADLINE if f"test.{name}_low" in metrics}
    for name, *said in rows:
        key = f"test.{name.replace(' ', '_')}"
        assert said == [f"{metrics[key + end]:.3f}" for end in ("", "_low", "_high")]
    assert f"The threshold, {metrics['test.threshold']:.4f}," in card
    assert f"a temperature of {metrics['temperature']:.3f}" in card
    assert "looked at 1 time, this look included" in card


def test_every_headline_figure_of_the_page_is_the_runs(recorded: Recorded, home: Places, tmp_path: Path) -> None:
    client = store_of(home).client()
    metrics = client.get_run(recorded.run_id).data.metrics
    page = Path(client.download_artifacts(recorded.run_id, "report.html", str(tmp_path))).read_text(encoding="utf-8")
    for name in CARDS:
        value = metrics[f"test.{name}"]
        assert (f"{value:.3f}" if name in NUMBERS else f"{value:.1%}") in page
    assert escape(SAFETY) in page


def test_the_page_says_what_it_is_of_and_that_phantoms_are_nobody(
    recorded: Recorded, home: Places, tmp_path: Path
) -> None:
    client = store_of(home).client()
    page = Path(client.download_artifacts(recorded.run_id, "report.html", str(tmp_path))).read_text(encoding="utf-8")
    name, version = recorded.registered.name, recorded.registered.version
    assert f"<h1>{name} version {version}, recipe quick</h1>" in page
    for words in (recorded.run_id, "xray ui", PHANTOMS, "looked at 1 time, this look included"):
        assert escape(words) in page


def test_recorded_again_it_is_the_same_run_and_version(
    recorded: Recorded, trained: Trained, judged: Judged, home: Places, prepared: Learned
) -> None:
    again = record(trained, judged, prepared.catalog, prepared.config, home)
    assert again.run_id == recorded.run_id
    assert again.registered.version == recorded.registered.version
    assert again.registered.reused


def test_a_score_from_the_file_is_the_score_from_the_shard(
    recorded: Recorded, judged: Judged, home: Places, prepared: Learned, phantoms: Path
) -> None:
    rows = prepared.catalog.rows("test").head(20)
    choice = resolve(home, recorded.registered.name)
    assert (choice.version, choice.how) == (recorded.registered.version, "newest")
    answers = score_files(home, choice.uri, [phantoms / path for path in rows["path"]])
    scores = judged.scores().set_index("image_id").loc[rows["image_id"]]
    for answer, (_, score) in zip(answers, scores.iterrows(), strict=True):
        assert answer["p_pneumonia"] == pytest.approx(score["p_pneumonia"], abs=1e-5)
        assert (answer["likeliest_class"], answer["decision"]) == (score["likeliest_class"], score["decision"])


def test_a_refused_second_trainer_leaves_the_firsts_run_alone(prepared: Learned, tmp_path: Path) -> None:
    places = Places(home=tmp_path)
    seen: list[str] = []

    def second(_done: int, _most: int) -> None:
        with pytest.raises(TrainingError, match="one trainer at a time"):
            train_and_track(prepared.catalog, prepared.store, prepared.config, places)
        (run,) = store_of(places).client().search_runs(["1"])
        seen.append(run.info.status)

    train_and_track(prepared.catalog, prepared.store, prepared.config, places, progress=second)
    assert seen == ["RUNNING", "RUNNING"]


def test_another_experiment_has_a_run_of_its_own(
    recorded: Recorded, trained: Trained, judged: Judged, home: Places, prepared: Learned
) -> None:
    registry = prepared.config.registry.model_copy(update={"experiment": "another"})
    config = prepared.config.model_copy(update={"registry": registry})
    other = record(trained, judged, prepared.catalog, config, home)
    assert other.experiment_id != recorded.experiment_id
    assert other.run_id != recorded.run_id
    assert record(trained, judged, prepared.catalog, prepared.config, home).run_id == recorded.run_id


def test_a_run_without_a_server_says_how_to_see_it(recorded: Recorded) -> None:
    assert recorded.page is None
    assert f"Run {recorded.run_id}, once `xray ui` has started it" in recorded.markdown()


def test_a_run_on_a_server_has_a_link_to_its_page(recorded: Recorded) -> None:
    served = replace(recorded, page="http://127.0.0.1:5000/#/experiments/1/runs/2")
    assert f"[{recorded.run_id}](http://127.0.0.1:5000/#/experiments/1/runs/2)" in served.markdown()


def test_the_answer_is_json(recorded: Recorded, home: Places, phantoms: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    page.write_bytes(b"no scan")
    answers = score_files(home, recorded.registered.uri, [next((phantoms / "test").iterdir()), page])
    assert json.loads(json.dumps(answers)) == answers
    assert answers[1]["p_pneumonia"] is None
    assert answers[1]["error"].startswith("not-an-image")
