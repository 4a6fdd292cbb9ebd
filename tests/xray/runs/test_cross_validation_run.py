"""One parent run for a cross-validation, the run of each fold's training below it, nothing registered."""

import json
import statistics
from dataclasses import dataclass

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.xray.conftest import Learned
from xray.config import Config, Workspace
from xray.data.folds import Fold, cut
from xray.data.prepare import Cleaned
from xray.evaluation.cross_validation.summary import summarize
from xray.evaluation.evaluate import evaluate
from xray.runs.cross_validation_run import CrossValidationRun, FoldRun, opened, record_cross_validation, train_fold
from xray.runs.run_context import RunContext
from xray.runs.training_run import Recorded, record, train_and_track
from xray.tracking.run_artifacts import metrics_in_file
from xray.tracking.store import store_of

pytestmark = pytest.mark.long(45)

PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Learnt:
    """A cross-validation of three folds after a plain run, which has trained the first of them."""

    workspace: Workspace
    config: Config
    plain: Recorded
    folds: list[Fold]
    runs: list[FoldRun]
    family: CrossValidationRun

    @property
    def client(self) -> MlflowClient:
        return store_of(self.workspace).client()


@pytest.fixture(scope="module")
def config(prepared: Learned) -> Config:
    split = prepared.config.split.model_copy(update={"folds": 3})
    training = prepared.config.training.model_copy(update={"epochs": 1})
    return prepared.config.model_copy(update={"split": split, "training": training})


def cut_phantoms(prepared: Learned, config: Config, seeds: int = 1) -> list[Fold]:
    (folder,) = prepared.workspace.cleaned.iterdir()
    cleaned = Cleaned(folder, folder.name, prepared.catalog.data, 240, private=False, reused=True)
    return cut(cleaned, prepared.store, config, prepared.workspace, seeds)


@pytest.fixture(scope="module")
def learnt(prepared: Learned, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    workspace = Workspace(home=tmp_path_factory.mktemp("family"))
    # `training.seeds` is the pipeline's: a fold is one training
    folds = cut_phantoms(
        prepared, config.model_copy(update={"training": config.training.model_copy(update={"seeds": 3})})
    )
    trained = train_and_track(folds[0].catalog, prepared.store, config, RunContext(workspace))
    evaluated = evaluate(trained, folds[0].catalog, prepared.store, config)
    plain = record(trained, evaluated, folds[0].catalog, config, RunContext(workspace))
    with opened(folds, config, RunContext(workspace, "a-flow-run")) as parent:
        runs = [train_fold(fold, RunContext(workspace, parent=parent)) for fold in folds]
        return Learnt(
            workspace, config, plain, folds, runs, record_cross_validation(folds, runs, config, RunContext(workspace))
        )


def test_the_first_fold_is_the_plain_runs_training_in_the_same_run(learnt: Learnt) -> None:
    assert [run.reused for run in learnt.runs] == [True, False, False]
    assert learnt.runs[0].run_id == learnt.plain.run_id


def test_every_folds_run_lies_below_the_parent(learnt: Learnt) -> None:
    below = learnt.client.search_runs([learnt.family.experiment_id], f"tags.`{PARENT}` = '{learnt.family.run_id}'")
    assert {run.info.run_id for run in below} == {run.run_id for run in learnt.runs}
    assert {run.info.status for run in below} == {"FINISHED"}
    assert {run.data.params["split.validation_fold"] for run in below} == {"0", "1", "2"}
    assert {run.data.params["training.seeds"] for run in below} == {"1"}


def test_a_plain_run_done_again_stays_below_the_parent(learnt: Learnt, prepared: Learned) -> None:
    fold = learnt.folds[0]
    trained = train_and_track(fold.catalog, prepared.store, learnt.config, RunContext(learnt.workspace))
    evaluated = evaluate(trained, fold.catalog, prepared.store, learnt.config)
    again = record(trained, evaluated, fold.catalog, learnt.config, RunContext(learnt.workspace))
    assert again.run_id == learnt.plain.run_id
    assert learnt.client.get_run(again.run_id).data.tags[PARENT] == learnt.family.run_id


def test_the_parent_holds_mean_and_spread_under_the_childrens_names(learnt: Learnt) -> None:
    parent = learnt.client.get_run(learnt.family.run_id).data.metrics
    children = [learnt.client.get_run(run.run_id).data.metrics for run in learnt.runs]
    for name in ("test.auc", "test.sensitivity", "validation.auc", "best_epoch"):
        values = [child[name] for child in children]
        assert parent[name] == pytest.approx(statistics.fmean(values))
        assert parent[f"{name}_sd"] == pytest.approx(statistics.stdev(values))


def test_the_parent_says_what_it_is(learnt: Learnt) -> None:
    run = learnt.client.get_run(learnt.family.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("quick-cv3-")
    assert (run.data.tags["kind"], run.data.tags["recipe"]) == ("cross-validation", "quick")
    assert run.data.tags["catalog"] == learnt.folds[0].catalog.digest
    assert run.data.tags["prefect_flow_run"] == "a-flow-run"
    assert run.data.params["split.validation_fold"] == "all"
    assert run.data.params["training.epochs"] == "1"
    assert set(run.data.params) == set(learnt.client.get_run(learnt.plain.run_id).data.params)


def test_the_parent_keeps_the_score_of_every_train_scan(learnt: Learnt, prepared: Learned) -> None:
    path = learnt.client.download_artifacts(learnt.family.run_id, "out_of_fold.parquet")
    table = pd.read_parquet(path)
    rows = prepared.catalog.rows()
    assert sorted(table["image_id"]) == sorted(rows.loc[rows["split"] != "test", "image_id"])
    for run in learnt.runs:
        own = table[table["fold"] == run.fold.number].set_index("image_id")
        scores = run.fold.evaluated.scores().query("split == 'validation'").set_index("image_id").loc[own.index]
        assert (own["p_pneumonia"] == scores["p_pneumonia"]).all()
        decided = scores["decision"] != "refer"  # out of fold every scan is decided
        assert (own["decision"] == scores["decision"])[decided].all()
    assert learnt.client.get_run(learnt.family.run_id).data.metrics["out_of_fold.scans"] == len(table)


def test_the_parents_description_holds_both_tables_and_the_safety_line(learnt: Learnt) -> None:
    note = learnt.client.get_run(learnt.family.run_id).data.tags["mlflow.note.content"]
    for columns, rows in learnt.family.summary.tables().values():
        assert all("| " + " | ".join(line) + " |" in note for line in (columns, *rows))
    assert "never replaces it" in note


def test_other_bootstrap_draws_give_another_summary_beside_the_first(learnt: Learnt) -> None:
    evaluation = learnt.config.evaluation.model_copy(update={"seed": 1})
    again = summarize([run.fold for run in learnt.runs], evaluation, learnt.family.summary.folder.parent)
    assert not again.reused
    ours, theirs = (each.report()["metrics"] for each in (learnt.family.summary, again))
    assert ours["out_of_fold.auc"] == theirs["out_of_fold.auc"]
    assert ours["out_of_fold.auc_low"] != theirs["out_of_fold.auc_low"]


def test_a_table_names_every_childs_run(learnt: Learnt) -> None:
    path = learnt.client.download_artifacts(learnt.family.run_id, "folds.json")
    with open(path, encoding="utf-8") as file:
        table = json.load(file)
    place = table["columns"].index("run_id")
    assert [line[place] for line in table["data"]] == [run.run_id for run in learnt.runs]


def test_no_folds_network_is_registered(learnt: Learnt) -> None:
    versions = learnt.client.search_model_versions(f"name='{learnt.plain.registered.name}'")
    assert [version.run_id for version in versions] == [learnt.plain.run_id]


def test_the_same_again_is_the_same_parent_with_every_figure_once(learnt: Learnt) -> None:
    with opened(learnt.folds, learnt.config, RunContext(learnt.workspace, "another-flow-run")) as parent:
        again = record_cross_validation(learnt.folds, learnt.runs, learnt.config, RunContext(learnt.workspace))
    assert parent == again.run_id == learnt.family.run_id
    assert again.summary.reused
    assert len(learnt.client.get_metric_history(parent, "test.auc")) == 1
    assert learnt.client.get_run(parent).data.tags["prefect_flow_run"] == "a-flow-run"


def test_a_training_of_two_cross_validations_lies_below_the_last_and_both_name_it(
    learnt: Learnt, prepared: Learned
) -> None:
    folds = cut_phantoms(prepared, learnt.config, seeds=2)
    with opened(folds, learnt.config, RunContext(learnt.workspace)) as parent:
        runs = [train_fold(fold, RunContext(learnt.workspace, parent=parent)) for fold in folds]
        family = record_cross_validation(folds, runs, learnt.config, RunContext(learnt.workspace))
    assert [run.reused for run in runs] == [True, True, True, False, False, False]
    assert family.run_id != learnt.family.run_id
    assert {learnt.client.get_run(run.run_id).data.tags[PARENT] for run in runs} == {family.run_id}
    parent_run = learnt.client.get_run(family.run_id)
    assert parent_run.info.run_name.startswith("quick-cv3x2-")
    assert (parent_run.data.params["training.seed"], parent_run.data.params["training.seeds"]) == ("0, 1", "2")
    figures = metrics_in_file(learnt.client, family.run_id)
    assert figures["out_of_fold.scans"] == figures["validation.scans"] * 3
    assert len(parent_run.data.metrics) < 60 < len(figures)
    test_a_table_names_every_childs_run(learnt)
    record_cross_validation(learnt.folds, learnt.runs, learnt.config, RunContext(learnt.workspace))
    test_every_folds_run_lies_below_the_parent(learnt)


@pytest.mark.parametrize(("error", "status"), [(ValueError("bad"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_parent_that_did_not_end_says_so_and_goes_on_later(
    error: BaseException, status: str, prepared: Learned, config: Config, workspace: Workspace
) -> None:
    folds = cut_phantoms(prepared, config)
    client = store_of(workspace).client()
    with pytest.raises(type(error)), opened(folds, config, RunContext(workspace)) as first:
        raise error
    assert client.get_run(str(first)).info.status == status
    with opened(folds, config, RunContext(workspace)) as second:
        assert second == first
        assert client.get_run(str(second)).info.status == "RUNNING"


def test_a_store_that_is_away_stops_nothing(prepared: Learned, config: Config, workspace: Workspace) -> None:
    database = workspace.mlruns / "mlflow.db"
    database.write_bytes(b"no database")
    with opened(cut_phantoms(prepared, config), config, RunContext(workspace)) as parent:
        assert parent is None
