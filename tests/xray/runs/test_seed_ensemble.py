"""Several seeds of one training: a run for each, below the run of the ensemble that is registered."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.xray.conftest import Learned
from xray.config import Config, Workspace
from xray.evaluation.evaluate import evaluate
from xray.runs.cross_validation_run import FoldRun, train_fold
from xray.runs.run_context import RunContext
from xray.runs.seed_ensemble import RecordedEnsemble, combine, members_of, opened, record_seeds
from xray.runs.training_run import Recorded, record, train_and_track
from xray.scoring.select_model import score_files
from xray.tracking.run_artifacts import metrics_in_file
from xray.tracking.store import store_of
from xray.tracking.test_set_use import count_evaluations, scans_digest
from xray.training.fit import Trained

pytestmark = pytest.mark.long(45)

PARENT = "mlflow.parentRunId"
SEEDS = 3


@dataclass(frozen=True)
class Learnt:
    """Three seeds after a plain run, which has trained the first of them; the second was cut off once."""

    workspace: Workspace
    config: Config
    plain: Recorded
    cut_off: str
    runs: Sequence[FoldRun]
    trained: Trained
    repeated: RecordedEnsemble
    evaluations: int
    below: Sequence[Run]

    @property
    def client(self) -> MlflowClient:
        return store_of(self.workspace).client()

    def metrics(self, run_id: str) -> dict[str, float]:
        found: dict[str, float] = self.client.get_run(run_id).data.metrics
        return found


@pytest.fixture(scope="module")
def config(prepared: Learned) -> Config:
    return with_training(prepared.config, epochs=2, seeds=SEEDS)


def with_training(config: Config, **changes: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def cut_off(done: int, most: int) -> None:
    raise KeyboardInterrupt


def repeated(
    prepared: Learned, config: Config, workspace: Workspace
) -> tuple[Sequence[FoldRun], Trained, bool, RecordedEnsemble]:
    """Go the whole way, as the flow does."""
    members = members_of(prepared.catalog, prepared.store, config)
    with opened(members, config, RunContext(workspace, "a-flow-run")) as parent:
        runs = [train_fold(member, RunContext(workspace, parent=parent)) for member in members]
        trained, found = combine(runs, config, workspace)
        evaluated = evaluate(trained, prepared.catalog, prepared.store, config)
        return (
            runs,
            trained,
            found,
            record_seeds(runs, trained, evaluated, prepared.catalog, config, RunContext(workspace)),
        )


@pytest.fixture(scope="module")
def learnt(prepared: Learned, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    workspace = Workspace(home=tmp_path_factory.mktemp("seeds"))
    single = with_training(config, seeds=1)
    trained = train_and_track(prepared.catalog, prepared.store, single, RunContext(workspace))
    evaluated = evaluate(trained, prepared.catalog, prepared.store, single)
    plain = record(trained, evaluated, prepared.catalog, single, RunContext(workspace))
    first, second, _ = members_of(prepared.catalog, prepared.store, config)
    with pytest.raises(KeyboardInterrupt), opened([first, second, _], config, RunContext(workspace)) as parent:
        train_fold(first, RunContext(workspace, parent=parent))
        train_fold(second, RunContext(workspace, parent=parent, progress=cut_off))
    runs, ensemble, found, done = repeated(prepared, config, workspace)
    assert not found
    scans = scans_digest(prepared.catalog.rows("test")["sha256"])
    client = store_of(workspace).client()  # now: other tests evaluate these runs, and put them below another one
    counted, below = count_evaluations(client, scans).total, [client.get_run(run.run_id) for run in runs]
    return Learnt(workspace, config, plain, str(parent), runs, ensemble, done, counted, below)


def test_what_was_trained_before_is_reused_and_what_was_cut_off_goes_on(learnt: Learnt) -> None:
    assert [run.fold.trained.trained_epochs for run in learnt.runs] == [0, 1, 2]
    assert [run.reused for run in learnt.runs] == [True, False, False]
    assert learnt.runs[0].run_id == learnt.plain.run_id
    assert learnt.repeated.parent == learnt.cut_off, "the parent that was opened before the kill"


def test_every_seeds_run_lies_below_the_ensembles(learnt: Learnt) -> None:
    below = learnt.below
    assert {run.data.tags[PARENT] for run in below} == {learnt.repeated.run_id}
    assert {run.info.status for run in below} == {"FINISHED"}
    assert sorted(run.data.params["training.seed"] for run in below) == ["0", "1", "2"]
    assert {run.data.params["training.seeds"] for run in below} == {"1"}, "each as a plain run has it"
    assert learnt.repeated.parent == learnt.repeated.run_id


def test_its_run_has_the_ensembles_own_figures_under_the_usual_names(learnt: Learnt) -> None:
    metrics = learnt.metrics(learnt.repeated.run_id)
    own = learnt.repeated.evaluated.report()["metrics"]
    assert own["test.auc"] == metrics["test.auc"]
    assert set(learnt.metrics(learnt.runs[2].run_id)) - set(metrics) <= {
        name for name in learnt.metrics(learnt.runs[2].run_id) if name.startswith("system/")
    }


def test_its_run_has_mean_and_spread_of_the_members(learnt: Learnt) -> None:
    metrics = learnt.metrics(learnt.repeated.run_id)
    for name in ("test.auc", "test.sensitivity", "validation.auc", "best_epoch"):
        values = [learnt.metrics(run.run_id)[name] for run in learnt.runs]
        assert metrics[f"seeds.{name}"] == pytest.approx(statistics.fmean(values))
        assert metrics[f"seeds.{name}_sd"] == pytest.approx(statistics.stdev(values))
    figures = metrics_in_file(learnt.client, learnt.repeated.run_id)
    assert len(metrics) < 60 < len(figures)
    assert {"seeds.test.f1_sd", "test.f1_low"} <= figures.keys(), "in one file, the members' and the ensemble's own"


def test_its_scores_before_calibration_are_the_means_of_its_members(learnt: Learnt) -> None:
    def scores(table: pd.DataFrame) -> np.ndarray:
        column = "p_pneumonia_raw" if "p_pneumonia_raw" in table else "p_pneumonia"
        values: np.ndarray = table.set_index("image_id").sort_index()[column].to_numpy()
        return values

    members = np.stack([scores(run.fold.evaluated.scores()) for run in learnt.runs])
    np.testing.assert_allclose(scores(learnt.repeated.evaluated.scores()), members.mean(axis=0), rtol=0, atol=1e-6)


def test_its_run_says_what_it_is(learnt: Learnt) -> None:
    run = learnt.client.get_run(learnt.repeated.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"quick-x3-{learnt.trained.digest[:8]}"
    assert (run.data.tags["kind"], run.data.tags["training"]) == ("seeds", learnt.trained.digest)
    assert (run.data.params["training.seed"], run.data.params["training.seeds"]) == ("0", "3")
    assert "3 networks averaged, seeds 0 to 2" in run.data.tags["mlflow.note.content"]


def test_a_table_names_every_members_run_beside_the_scores(learnt: Learnt) -> None:
    with open(learnt.client.download_artifacts(learnt.repeated.run_id, "seeds.json"), encoding="utf-8") as file:
        table = json.load(file)
    lines = [dict(zip(table["columns"], line, strict=True)) for line in table["data"]]
    assert [(line["run_id"], line["seed"]) for line in lines] == [
        (run.run_id, seed) for seed, run in enumerate(learnt.runs)
    ]
    assert lines[1]["test.auc"] == learnt.metrics(learnt.runs[1].run_id)["test.auc"]
    shown = json.loads(learnt.client.get_run(learnt.repeated.run_id).data.tags["mlflow.loggedArtifacts"])
    assert [entry["path"] for entry in shown] == ["scores.json", "seeds.json"]


def test_the_ensemble_is_the_one_new_version(learnt: Learnt) -> None:
    versions = learnt.client.search_model_versions(f"name='{learnt.repeated.registered.name}'")
    assert {version.run_id for version in versions} == {learnt.plain.run_id, learnt.repeated.run_id}
    assert (learnt.repeated.registered.version, learnt.repeated.registered.reused) == ("2", False)


def test_the_registered_ensemble_scores_files_with_pickle_forbidden(
    learnt: Learnt, prepared: Learned, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    rows = prepared.catalog.rows("test").head(5)
    files = [phantoms / path for path in rows["path"]]
    answers = score_files(learnt.workspace, learnt.repeated.registered.uri, files)
    scores = learnt.repeated.evaluated.scores().set_index("image_id").loc[rows["image_id"]]
    assert [answer["p_pneumonia"] for answer in answers] == pytest.approx(list(scores["p_pneumonia"]), abs=1e-5)


def test_each_network_that_was_judged_has_looked_once(learnt: Learnt) -> None:
    assert learnt.evaluations == SEEDS + 1
    numbers = [learnt.metrics(run)["looks"] for run in [*(each.run_id for each in learnt.runs), learnt.repeated.run_id]]
    assert numbers == [1, 2, 3, 4]


def test_the_table_in_words_has_the_ensemble_beside_its_members(learnt: Learnt) -> None:
    columns, rows = learnt.repeated.table()
    metrics = learnt.metrics(learnt.repeated.run_id)
    (auc,) = [row for row in rows if row[0] == "test auc"]
    values = " ".join(f"{learnt.metrics(run.run_id)['test.auc']:.3f}" for run in learnt.runs)
    assert columns == ("metric", "registered", "mean", "sd", "each seed")
    assert auc[1:] == (
        f"{metrics['test.auc']:.3f}", f"{metrics['seeds.test.auc']:.3f}", f"{metrics['seeds.test.auc_sd']:.3f}", values
    )  # fmt: skip


def test_the_same_again_trains_registers_and_counts_nothing(learnt: Learnt, prepared: Learned) -> None:
    before = learnt.metrics(learnt.repeated.run_id)
    runs, trained, found, again = repeated(prepared, learnt.config, learnt.workspace)
    assert all(run.reused for run in runs) and found and again.evaluated.reused
    assert (trained, again.run_id) == (learnt.trained, learnt.repeated.run_id)
    assert (again.registered.version, again.registered.reused) == (learnt.repeated.registered.version, True)
    assert learnt.metrics(again.run_id) == before
    for name in ("test.auc", "seeds.test.auc", "looks"):
        assert len(learnt.client.get_metric_history(again.run_id, name)) == 1


def test_another_threshold_rule_is_one_more_look(learnt: Learnt, prepared: Learned) -> None:
    evaluation = learnt.config.evaluation.model_copy(update={"threshold": "sensitivity>=0.95"})
    (member, *_) = members_of(
        prepared.catalog, prepared.store, learnt.config.model_copy(update={"evaluation": evaluation})
    )
    run = train_fold(member, RunContext(learnt.workspace, parent=learnt.repeated.parent))
    assert run.fold.trained.trained_epochs == 0
    assert run.run_id != learnt.plain.run_id, "the figures of the first rule stay where they are"
    assert learnt.metrics(run.run_id)["looks"] == SEEDS + 2
    again = train_fold(
        members_of(prepared.catalog, prepared.store, learnt.config)[0],
        RunContext(learnt.workspace, parent=learnt.repeated.parent),
    )
    assert (again.run_id, learnt.metrics(again.run_id)["looks"]) == (learnt.plain.run_id, 1)
    scans = scans_digest(prepared.catalog.rows("test")["sha256"])
    assert count_evaluations(learnt.client, scans).total == SEEDS + 2


def test_without_an_ensemble_the_first_seeds_network_is_registered_in_its_own_run(
    learnt: Learnt, prepared: Learned
) -> None:
    registry = learnt.config.registry.model_copy(update={"ensemble": False, "model_name": "first-of-seeds"})
    config = with_training(learnt.config, seeds=2).model_copy(update={"registry": registry})
    runs, trained, found, first = repeated(prepared, config, learnt.workspace)
    assert all(run.reused for run in runs) and found
    assert (trained.digest, first.run_id) == (runs[0].fold.trained.digest, learnt.plain.run_id)
    (version,) = learnt.client.search_model_versions("name='first-of-seeds'")
    assert version.run_id == learnt.plain.run_id
    parent = learnt.client.get_run(first.parent)
    assert (parent.info.status, parent.info.run_name[:9]) == ("FINISHED", "quick-x2-")
    values = [learnt.metrics(run.run_id)["test.auc"] for run in runs]
    assert parent.data.metrics["seeds.test.auc"] == pytest.approx(statistics.fmean(values))
    assert "test.auc" not in parent.data.metrics, "no ensemble was made, and none has looked"
    assert "test auc" in parent.data.tags["mlflow.note.content"]
    assert {learnt.client.get_run(run.run_id).data.tags[PARENT] for run in runs} == {first.parent}
