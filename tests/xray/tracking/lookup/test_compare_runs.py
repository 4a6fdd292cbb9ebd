"""Runs compared as MLflow holds them: on the same scans, or not at all."""

import json
from pathlib import Path

import pytest

from tests.xray.tracking.judged_runs import judged_run, scores_of, written_over
from xray.config import Evaluation, Workspace
from xray.errors import EvaluationError, RegistryError
from xray.evaluation.metrics.paired_comparison import compare
from xray.runs.training_run import Recorded
from xray.tracking.lookup.compare_runs import compare_runs
from xray.tracking.store import store_of


def test_two_runs_are_compared_by_the_scores_that_mlflow_holds(workspace: Workspace) -> None:
    good, poor = scores_of(0.2), scores_of(0.6, seed=1)
    judged_run(workspace, "good", good, {"training.seed": 0, "training.epochs": 3}, threshold=0.45)
    judged_run(workspace, "poor", poor, {"training.seed": 1, "training.epochs": 3}, {"git_commit": "def"}, 0.55)
    found = compare_runs(workspace, ["good", "poor"])

    (only,) = found.compared
    on_test = [table[table["split"] == "test"] for table in (good, poor)]
    assert only.comparison == compare(on_test[0], on_test[1], (0.45, 0.55), Evaluation(bootstrap_draws=200))
    assert only.own == (40, 40)
    assert only.title.startswith("poor (") and only.title.endswith("), 40 TEST scans of 20 patients")
    assert found.differing == (("configuration", "training.seed", "0", "1"), ("code", "commit", "abc", "def"))
    assert json.loads(json.dumps(found.to_dict()))["compared"][0]["figures"]["auc"]["is_real"] is True


def test_every_later_run_is_compared_with_the_first(workspace: Workspace) -> None:
    for name, noise in (("one", 0.2), ("two", 0.4), ("three", 0.6)):
        judged_run(workspace, name, scores_of(noise), {"noise": noise, "images.height": 32})
    found = compare_runs(workspace, ["one", "two", "three"])
    assert [each.first.split()[0] for each in found.compared] == ["one", "one"]
    assert [each.second.split()[0] for each in found.compared] == ["two", "three"]
    assert found.differing == (("configuration", "noise", "0.2", "0.4", "0.6"),)


def test_a_setting_changed_later_counts_as_the_runs_own(workspace: Workspace) -> None:
    judged_run(workspace, "changed", scores_of(0.2), {"evaluation.seed": 0})
    judged_run(workspace, "changed", scores_of(0.2), {"evaluation.seed": 7})
    judged_run(workspace, "other", scores_of(0.3), {"evaluation.seed": 7})
    assert compare_runs(workspace, ["changed", "other"]).differing == ()
    judged_run(workspace, "changed", scores_of(0.2), {"evaluation.seed": 0})  # and back again
    assert compare_runs(workspace, ["changed", "other"]).differing == (("configuration", "evaluation.seed", "0", "7"),)


def test_two_runs_as_the_product_makes_them_are_compared(
    recorded: Recorded, recorded_second: Recorded, home: Workspace
) -> None:
    found = compare_runs(home, [recorded.run_id[:8], f"xray-classifier-test/{recorded_second.registered.version}"])
    (only,) = found.compared
    tables = [each.evaluated.scores() for each in (recorded, recorded_second)]
    on_test = [table[table["split"] == "test"] for table in tables]
    at = tuple(each.evaluated.report()["threshold"] for each in (recorded, recorded_second))
    assert only.comparison == compare(on_test[0], on_test[1], (at[0], at[1]), Evaluation(bootstrap_draws=200))
    assert ("configuration", "training.seed", "0", "1") in found.differing
    assert {name for _, name, *_ in found.differing} <= {"training.seed", "commit"}, "commit, while somebody edits"


def test_two_evaluations_of_one_training_are_compared_by_version_name_and_alias(
    recorded: Recorded, recorded_strictly: Recorded, home: Workspace
) -> None:
    client, name = store_of(home).client(), recorded.registered.name
    client.set_registered_model_alias(name, "strict", recorded_strictly.registered.version)
    first = f"{name}/{recorded.registered.version}"
    by_name = client.get_run(recorded_strictly.run_id).info.run_name
    for other in (f"{name}@strict", f"models:/{name}/{recorded_strictly.registered.version}", by_name):
        found = compare_runs(home, [first, other])
        assert [row[:2] for row in found.differing if row[0] == "configuration"] == [
            ("configuration", "evaluation.threshold"), ("configuration", "evaluation.prevalence")
        ]  # fmt: skip
        (only,) = found.compared
        assert only.comparison.differences["auc"].difference.value == 0, "one network"
        figures = recorded_strictly.evaluated.report()["metrics"]
        assert only.comparison.differences["sensitivity"].second == figures["test.sensitivity"]


def test_settings_that_this_version_does_not_know_are_no_error(workspace: Workspace) -> None:
    unknown = {"evaluation.calibration": "isotonic", "evaluation.threshold": "f1>=0.9", "evaluation.prevalence": None}
    judged_run(workspace, "ours", scores_of(0.2), {"evaluation.seed": 3})
    judged_run(workspace, "later", scores_of(0.3), {"evaluation.seed": 3, **unknown})
    for runs in (["later", "ours"], ["ours", "later"]):
        found = compare_runs(workspace, runs)
        assert found.compared[0].comparison.scans == 40
        assert {name for _, name, *_ in found.differing} == set(unknown)


def test_a_version_that_an_older_xray_wrote_over_is_refused_in_one_line(workspace: Workspace, network: Path) -> None:
    run_id = written_over(workspace, network, kept=(0.4, 0.6), now=0.6)
    judged_run(workspace, "other", scores_of(0.3))
    with pytest.raises(RegistryError, match=rf"its own metrics[^\n]+{run_id[:8]}[^\n]+Received: xray-test/1$"):
        compare_runs(workspace, ["xray-test/1", "xray-test/2"])
    assert compare_runs(workspace, ["xray-test/2", "other"]).compared[0].comparison.scans == 40


def test_data_that_differs_is_named(workspace: Workspace) -> None:
    judged_run(workspace, "one", scores_of(0.2))
    judged_run(
        workspace, "two", scores_of(0.2), {"promotion.scans": "test"}, {"catalog": "another", "normalizer": None}
    )
    assert compare_runs(workspace, ["one", "two"]).differing == (
        ("data", "catalog", "0123456789abcdef", "another"),
        ("data", "normalizer", "fedcba9876543210", "-"),
    )


def test_other_test_scans_are_refused_and_shared_ones_compared_when_asked(workspace: Workspace) -> None:
    judged_run(workspace, "all", scores_of(0.2, scans=40))
    judged_run(workspace, "some", scores_of(0.4, scans=24))
    with pytest.raises(EvaluationError) as error:
        compare_runs(workspace, ["all", "some"])
    assert "\n" not in str(error.value)
    assert "--shared" in str(error.value)
    assert ") on 40, some (" in str(error.value) and str(error.value).endswith(") on 24, 24 of them shared")

    found = compare_runs(workspace, ["all", "some"], on_shared=True)
    assert found.compared[0].comparison.scans == 24
    assert found.compared[0].title.endswith(
        "only the 24 TEST scans of 12 patients that both were judged on, of 40 and 24"
    )
    assert ("data", "TEST scans", "40", "24") in found.differing


def test_runs_that_share_too_little_are_refused_even_then(workspace: Workspace) -> None:
    judged_run(workspace, "here", scores_of(0.2))
    judged_run(workspace, "there", scores_of(0.2).assign(sha256=lambda rows: "f" + rows["sha256"]))
    with pytest.raises(EvaluationError, match=r"share TEST scans of both labels.*on 40, 0 of them shared$"):
        compare_runs(workspace, ["here", "there"], on_shared=True)


def test_a_run_that_was_not_judged_is_refused(workspace: Workspace) -> None:
    judged_run(workspace, "judged", scores_of(0.2))
    store = store_of(workspace)
    client = store.client()
    client.create_run(store.experiment(client, "xray-test"), run_name="begun")
    with pytest.raises(RegistryError, match=r"Received: begun \(.{8}\), running, without scores.parquet"):
        compare_runs(workspace, ["judged", "begun"])


def test_a_run_is_not_compared_with_itself(workspace: Workspace) -> None:
    run_id = judged_run(workspace, "one", scores_of(0.2))
    with pytest.raises(RegistryError, match="runs must differ to be compared"):
        compare_runs(workspace, ["one", run_id[:8]])
