"""Each look at the official test set is counted once, whichever run it lies in and whatever became of that."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.xray.conftest import Learned
from tests.xray.promotion.promoters import NAME, with_versions
from xray.config import Workspace, digest_of
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.reporting.run_report import EvaluationCount
from xray.promotion.decision_log import DecisionLog
from xray.promotion.decision_record import PROMOTE, REFUSED, PlannedDecision
from xray.tracking import test_set_use as module
from xray.tracking.run_identity import RunFacts
from xray.tracking.store import store_of
from xray.tracking.test_set_use import UNKNOWN, code_version, count_evaluation, count_evaluations, scans_digest
from xray.tracking.tracker import Tracker, open_run

Counted = Callable[..., EvaluationCount]


@pytest.fixture
def scans(prepared: Learned) -> str:
    return scans_digest(prepared.catalog.rows("test")["sha256"])


@pytest.fixture
def client(workspace: Workspace) -> MlflowClient:
    return store_of(workspace).client()


@pytest.fixture
def tracker_of(workspace: Workspace, facts: RunFacts) -> Callable[[str, str], Tracker]:
    def tracker(training: str, experiment: str) -> Tracker:
        folder = workspace.trainings / training
        folder.mkdir(parents=True, exist_ok=True)
        return open_run(workspace, folder, replace(facts, experiment=experiment))

    return tracker


@pytest.fixture
def counted(tracker_of: Callable[[str, str], Tracker], prepared: Learned, tmp_path: Path) -> Counted:
    """Count an evaluation of a training by a version of the code."""

    def count(training: str, evaluation: str, code: str = "abc", experiment: str = "xray-test") -> EvaluationCount:
        evaluated = Evaluated(tmp_path, evaluation, reused=False)
        scans = scans_digest(prepared.catalog.rows("test")["sha256"])
        return count_evaluation(tracker_of(training, experiment), evaluated.digest, scans, code)

    return count


def test_scans_are_named_by_what_their_files_hold_in_any_order() -> None:
    assert scans_digest(["b", "a"]) == scans_digest(["a", "b"]) == digest_of(["a", "b"])
    assert scans_digest(["a", "b"]) != scans_digest(["a", "b", "b"])


def test_scans_that_nobody_has_looked_at_have_no_looks(client: MlflowClient, scans: str) -> None:
    assert count_evaluations(client, scans) == EvaluationCount(0, {})


def test_an_evaluation_counts_once_however_often_it_is_reused(
    counted: Counted, client: MlflowClient, scans: str
) -> None:
    assert counted("one", "first") == EvaluationCount(1, {"abc": 1})
    assert counted("one", "first", "def") == EvaluationCount(1, {"abc": 1}), (
        "the code that made it, not the one that found it"
    )
    assert count_evaluations(client, scans) == EvaluationCount(1, {"abc": 1})


def test_another_threshold_rule_and_another_training_are_looks_of_their_own(
    counted: Counted, client: MlflowClient, scans: str
) -> None:
    counted("one", "first")
    assert counted("one", "another rule", "def").total == 2
    assert counted("two", "another training").total == 3
    assert count_evaluations(client, scans) == EvaluationCount(3, {"abc": 2, "def": 1})


def test_a_run_bears_the_number_of_its_look_and_keeps_it(
    counted: Counted, tracker_of: Callable[[str, str], Tracker], client: MlflowClient
) -> None:
    counted("one", "first")
    counted("two", "second")
    assert counted("one", "first").total == 1
    run_id = tracker_of("one", "xray-test").require()[1]
    assert [metric.value for metric in client.get_metric_history(run_id, "looks")] == [1]


def test_other_scans_are_counted_apart(counted: Counted, client: MlflowClient) -> None:
    counted("one", "first")
    assert count_evaluations(client, scans_digest(["a", "b"])).total == 0


def test_one_evaluation_in_two_experiments_is_one_look(counted: Counted, client: MlflowClient, scans: str) -> None:
    counted("one", "first")
    assert counted("again", "first", "def", experiment="another") == EvaluationCount(1, {"abc": 1})
    assert count_evaluations(client, scans).total == 1


def test_a_deleted_run_has_looked_all_the_same(
    counted: Counted, tracker_of: Callable[[str, str], Tracker], client: MlflowClient, scans: str
) -> None:
    counted("one", "first")
    client.delete_run(tracker_of("one", "xray-test").require()[1])
    assert count_evaluations(client, scans).total == 1
    assert counted("one", "first").total == 1, "in the run that takes its place"
    counted("two", "second", experiment="another")
    client.delete_experiment(str(client.get_experiment_by_name("another").experiment_id))  # type: ignore[union-attr]
    assert count_evaluations(client, scans).total == 2


def test_each_judgement_of_a_challenger_is_a_look(
    counted: Counted, workspace: Workspace, client: MlflowClient, scans: str
) -> None:
    with_versions(workspace)
    counted("one", "first")
    for number in (1, 2):
        DecisionLog(workspace, NAME).open(PlannedDecision(PROMOTE, REFUSED, number, None, str(number), scans=scans))
    assert count_evaluations(client, scans) == EvaluationCount(3, {"abc": 1, code_version(): 2})


def test_a_judgement_of_before_the_code_was_noted_counts_too(client: MlflowClient, scans: str) -> None:
    client.create_run(client.create_experiment("a-decisions"), tags={"kind": PROMOTE, "scans": scans})
    assert count_evaluations(client, scans) == EvaluationCount(1, {UNKNOWN: 1})


def test_none_is_lost_between_the_pages_of_an_answer(
    counted: Counted, client: MlflowClient, scans: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    for number in range(5):
        counted(str(number), f"evaluation {number}", experiment=f"experiment-{number % 3}")
    assert count_evaluations(client, scans).total == 5
