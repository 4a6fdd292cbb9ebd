"""A study of real trials on phantoms: its runs, what it takes up again, what it prunes, and what it never looks at."""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from pydantic import SecretStr

from tests.xray.conftest import Learned
from xray.config import Config, Workspace
from xray.data.decoding.image_decoder import normalizer_digest
from xray.errors import ConfigError, RegistryError, TrainingError
from xray.runs.run_context import RunContext
from xray.tracking.store import store_of
from xray.training.optimization import objective
from xray.training.optimization.adam import FusedAdam
from xray.training.training_digest import training_digest
from xray.tuning.search_space import Choices, Range, Search, applied
from xray.tuning.storage import shown
from xray.tuning.study import Material, Study, connected, open_study, slots_left
from xray.tuning.study_run import StudyResult, opened, record_study
from xray.tuning.trial import TrialResult, run_trial

pytestmark = pytest.mark.long(30)

PARENT = "mlflow.parentRunId"
RATES = {"training.learning_rate": Range(low=1e-4, high=1e-2, log=True)}


def study_of(prepared: Learned, workspace: Workspace, search: Search, **settings: Any) -> Study:
    config = applied(prepared.config, {"training.precision": "float32", **settings})
    materials = {normalizer_digest(config.images): Material(prepared.catalog, prepared.store.folder)}
    return open_study(materials, config, search, workspace)


def tried_all(study: Study, workspace: Workspace) -> list[TrialResult]:
    with opened(study, RunContext(workspace, "a-flow-run")) as parent:
        return [run_trial(study, slot, RunContext(workspace, parent=parent)) for slot in slots_left(study)]


def trials_of(study: Study) -> list[optuna.trial.FrozenTrial]:
    with connected(study) as found:
        return found.get_trials()


@dataclass(frozen=True)
class Done:
    """A study of two trials, to its end."""

    workspace: Workspace
    study: Study
    tried: list[TrialResult]
    searched: StudyResult

    @property
    def client(self) -> MlflowClient:
        return store_of(self.workspace).client()


@pytest.fixture(scope="module")
def done(prepared: Learned, tmp_path_factory: pytest.TempPathFactory) -> Done:
    workspace = Workspace(home=tmp_path_factory.mktemp("study"))
    study = study_of(prepared, workspace, Search(space=RATES, trials=2))
    tried = tried_all(study, workspace)
    return Done(workspace, study, tried, record_study(study, len(tried), RunContext(workspace, "a-flow-run")))


class TestRuns:
    def test_each_trials_run_lies_below_the_studys_and_bears_its_values(self, done: Done) -> None:
        experiment = done.searched.experiment_id
        runs = done.client.search_runs([experiment], f"tags.`{PARENT}` = '{done.searched.run_id}'")
        assert sorted(run.data.tags["trial"] for run in runs) == ["0", "1"]
        trials = {str(trial.number): trial for trial in trials_of(done.study)}
        for run in runs:
            trial = trials[run.data.tags["trial"]]
            assert run.info.status == "FINISHED"
            assert (run.data.tags["state"], run.data.tags["study"]) == ("COMPLETE", done.study.name)
            assert float(run.data.params["training.learning_rate"]) == trial.params["training.learning_rate"]
            losses = [each.value for each in done.client.get_metric_history(run.info.run_id, "val_loss")]
            assert len(losses) == done.study.config.training.epochs
            assert run.data.metrics["objective"] == min(losses) == trial.value

    def test_no_run_has_a_figure_on_test_scans(self, done: Done) -> None:
        for run in done.client.search_runs([done.searched.experiment_id]):
            assert [name for name in run.data.metrics if "test" in name] == []
            assert [file.path for file in done.client.list_artifacts(run.info.run_id) if "score" in file.path] == []
        assert list(done.workspace.trainings.glob("*/evaluation-*")) == []

    def test_nothing_is_registered(self, done: Done) -> None:
        assert list(done.client.search_registered_models()) == []

    def test_the_parent_bears_the_best_trial_and_what_was_searched(self, done: Done) -> None:
        run, best = done.client.get_run(done.searched.run_id), done.searched.best
        assert best is not None
        assert best.value == min(tried.value or 9 for tried in done.tried) == run.data.metrics["objective"]
        assert run.data.tags["best.training.learning_rate"] == str(best.params["training.learning_rate"])
        assert (run.data.tags["best.run_id"], run.data.tags["kind"]) == (best.run_id, "study")
        assert run.data.params["training.learning_rate"] == "0.0001 to 0.01, log"
        assert "never replaces it" in run.data.tags["mlflow.note.content"]

    def test_the_parents_table_has_a_row_a_trial_the_best_first(self, done: Done) -> None:
        path = done.client.download_artifacts(done.searched.run_id, "trials.json")
        table = json.loads(Path(path).read_text())
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        assert [row["objective"] for row in rows] == sorted(tried.value or 9 for tried in done.tried)
        assert {row["state"] for row in rows} == {"complete"}
        assert len({row["run_id"] for row in rows}) == 2

    def test_a_plain_run_with_the_best_values_is_the_best_trials_training(self, done: Done) -> None:
        best = done.searched.best
        assert best is not None
        digest = training_digest(done.study.catalog, best.config)
        assert (done.workspace.trainings / digest / "model.keras").is_file()


class TestAgain:
    def test_the_same_trains_nothing_and_more_trials_train_the_rest(self, done: Done) -> None:
        def opened_again(**changes: Any) -> Study:
            search = done.study.search.model_copy(update=changes)
            return open_study(done.study.materials, done.study.config, search, done.workspace)

        assert opened_again().name == done.study.name
        assert slots_left(opened_again()) == []
        assert slots_left(opened_again(trials=4)) == [2, 3]
        assert slots_left(opened_again(trials=1)) == []

    def test_another_space_objective_or_value_is_another_study(self, done: Done) -> None:
        def name(search: Search, config: Config) -> str:
            return open_study(done.study.materials, config, search, done.workspace).name

        search, config = done.study.search, done.study.config
        others = {
            name(search.model_copy(update={"objective": "val_auc"}), config),
            name(Search(space={"training.learning_rate": Range(low=1e-4, high=2e-2, log=True)}), config),
            name(search, applied(config, {"training.seed": 1})),
            name(search, applied(config, {"augmentation.zoom": 0.2})),
        }
        assert len(others | {done.study.name}) == 5

    def test_what_changes_no_training_changes_no_study(self, done: Done) -> None:
        config = applied(done.study.config, {"evaluation.threshold": "cost", "training.learning_rate": 0.5})
        assert open_study(done.study.materials, config, done.study.search, done.workspace).name == done.study.name

    def test_a_trial_cut_off_is_given_the_same_values_and_goes_on(
        self, done: Done, prepared: Learned, workspace: Workspace
    ) -> None:
        study = study_of(prepared, workspace, done.study.search)

        def cut_off(epochs: int, most: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), opened(study, RunContext(workspace)) as parent:
            run_trial(study, 0, RunContext(workspace, parent=parent, progress=cut_off))
        (cut,) = trials_of(study)
        assert cut.state == TrialState.RUNNING
        seen: list[int] = []
        with opened(study, RunContext(workspace)) as parent:
            first = run_trial(
                study, 0, RunContext(workspace, parent=parent, progress=lambda epochs, _: seen.append(epochs))
            )
            second = run_trial(study, 1, RunContext(workspace, parent=parent))
        assert seen == [1, 2]  # the epoch that was there, and the one that was not
        states = [trial.state.name for trial in trials_of(study)]
        assert states == ["FAIL", "COMPLETE", "COMPLETE"]
        again = {trial.number: trial for trial in trials_of(study)}
        whole = {trial.user_attrs["slot"]: trial for trial in trials_of(done.study)}
        for slot, tried in enumerate((first, second)):
            assert again[tried.number].params == whole[slot].params
            assert tried.value == pytest.approx(whole[slot].value, rel=1e-4)
        client = store_of(workspace).client()
        run_id = again[first.number].user_attrs["run_id"]
        assert [each.step for each in client.get_metric_history(run_id, "val_loss")] == [1, 2]
        assert client.get_run(run_id).info.status == "FINISHED"


class TestPruning:
    @pytest.fixture
    def study(self, prepared: Learned, workspace: Workspace) -> Study:
        """A study whose first trial had a loss of nothing: whatever comes after it lags."""
        search = Search(space=RATES, trials=2, startup_trials=1, warmup_epochs=1)
        study = study_of(prepared, workspace, search, **{"training.epochs": 4})
        with connected(study) as found:
            perfect = optuna.create_trial(
                params={"training.learning_rate": 1e-3},
                distributions={"training.learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
                value=0.0,
                intermediate_values=dict.fromkeys(range(4), 0.0),
                user_attrs={"slot": 0},
            )
            found.add_trial(perfect)
        return study

    def test_a_lagging_trial_stops_after_the_warm_up_and_its_run_is_no_failure(
        self, study: Study, workspace: Workspace
    ) -> None:
        (tried,) = tried_all(study, workspace)
        assert (tried.state, tried.epochs) == ("PRUNED", 2)
        run = store_of(workspace).client().get_run(trials_of(study)[1].user_attrs["run_id"])
        assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "PRUNED")
        assert run.data.metrics["objective"] == tried.value
        assert slots_left(study) == []

    def test_a_pruned_training_leaves_no_weights_on_disk(self, study: Study, workspace: Workspace) -> None:
        tried_all(study, workspace)
        assert list(workspace.trainings.rglob("*.keras")) == []

    def test_none_is_pruned_while_it_warms_up(self, study: Study, workspace: Workspace) -> None:
        patient = replace(study, search=study.search.model_copy(update={"warmup_epochs": 3}))
        (tried,) = tried_all(patient, workspace)
        assert (tried.state, tried.epochs) == ("COMPLETE", 4)  # in its last epoch there is nothing left to save


def test_values_drawn_twice_are_trained_once(prepared: Learned, workspace: Workspace) -> None:
    space = {"training.batch_size": Choices(choices=(16, 32))}
    study = study_of(prepared, workspace, Search(space=space, trials=3), **{"training.epochs": 1})
    tried = tried_all(study, workspace)
    trials = trials_of(study)
    values = {trial.params["training.batch_size"]: trial.value for trial in trials}
    assert [tried.value for tried in tried] == [values[trial.params["training.batch_size"]] for trial in trials]
    assert len(list(workspace.trainings.glob("*/manifest.json"))) == len(values) < len(trials)
    assert len(record_study(study, 3, RunContext(workspace)).lines) == 3


def test_a_trial_whose_loss_is_no_number_counts_and_the_next_one_runs(
    prepared: Learned, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(prepared, workspace, Search(space=RATES, trials=2), **{"training.epochs": 1})
    with monkeypatch.context() as huge, opened(study, RunContext(workspace)) as parent:
        # Beyond what a space may hold, so that it surely diverges.
        huge.setattr(objective, "FusedAdam", lambda rate, weight_decay: FusedAdam(1e38))
        diverged = run_trial(study, 0, RunContext(workspace, parent=parent))
    assert (diverged.state, diverged.value) == ("FAIL", None)
    assert slots_left(study) == [1]
    searched = record_study(study, 1, RunContext(workspace))
    assert searched.best is None
    assert searched.counts == {"complete": 0, "pruned": 0, "diverged": 1}
    run = store_of(workspace).client().get_run(searched.lines[0]["run_id"])
    assert (run.info.status, run.data.tags["state"]) == ("FAILED", "FAIL")
    (tried,) = tried_all(study, workspace)
    assert tried.state == "COMPLETE"
    best = record_study(study, 1, RunContext(workspace)).best
    assert best is not None
    assert best.value == tried.value


class TestHeld:
    def test_a_second_command_is_refused_in_one_line(self, done: Done) -> None:
        refused = pytest.raises(TrainingError, match=r"one command at a time .* Received: \w+ is in use")
        with opened(done.study, RunContext(done.workspace)), refused, opened(done.study, RunContext(done.workspace)):
            pass
        with opened(done.study, RunContext(done.workspace)) as parent:
            assert parent == done.searched.run_id


class TestStorage:
    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("postgresql://me:secret@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db"),
            ("postgresql://me:secret@/db?password=secret", "postgresql:///db"),
            ("sqlite:////nowhere/at/all.db?x=secret", "sqlite:////nowhere/at/all.db"),
        ],
    )
    def test_one_that_is_away_or_lacks_its_driver_is_named_without_its_password(
        self, address: str, words: str, done: Done
    ) -> None:
        study = replace(done.study, storage=SecretStr(address))
        with pytest.raises(RegistryError, match="--storage ") as error, connected(study):
            pass
        assert str(error.value).endswith(f"Received: {words}")

    @pytest.mark.parametrize("address", ["me:secret@host", "postgresql://me:secret@host:port/db"])
    def test_an_address_that_is_none_is_not_repeated(self, address: str) -> None:
        with pytest.raises(ConfigError, match="--storage must be a database's address") as error:
            shown(SecretStr(address))
        assert "secret" not in str(error.value)

    def test_a_study_is_written_down_without_the_password(self, done: Done) -> None:
        study = replace(done.study, storage=SecretStr("postgresql://me:secret@host/db"))
        assert "secret" not in f"{study!r} {study}"

    def test_making_its_tables_prints_nothing_and_silences_no_logger(
        self,
        prepared: Learned,
        workspace: Workspace,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a plain process
        study_of(prepared, workspace, Search(space=RATES))
        assert capfd.readouterr() == ("", "")
        assert not logging.getLogger("xray.training.fit").disabled
