"""What a run is told of itself."""

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from xray.config import Workspace
from xray.tracking.run_config import CHANGED_TAG, EVALUATION
from xray.tracking.run_identity import LOOK, TRAINING_RUN_TAG, RunFacts, git_commit, run_of
from xray.tracking.store import store_of


def test_params_tags_and_the_data_set_with_our_own_digest(workspace: Workspace, folder: Path, facts: RunFacts) -> None:
    store = store_of(workspace)
    client = store.client()
    for _ in range(2):
        run = client.get_run(run_of(client, store, folder, facts))
    assert run.info.run_name == "quick-abc"
    assert run.data.params == {"training.epochs": "3", "images.fit": "stretch"}
    assert run.data.tags["recipe"] == "quick"
    assert "git_commit" not in run.data.tags
    assert run.inputs is not None
    (entry,) = run.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("coronahack", "0123456789abcdef")
    assert json.loads(entry.dataset.profile or "") == {"train": 80}
    assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "training")]


def test_a_param_that_is_another_later_is_kept_as_a_tag(workspace: Workspace, folder: Path, facts: RunFacts) -> None:
    store = store_of(workspace)
    client = store.client()
    run_of(client, store, folder, facts)
    later = dataclasses.replace(facts, params={**facts.params, "training.epochs": 4, "evaluation.seed": 1})
    run = client.get_run(run_of(client, store, folder, later))
    assert run.data.params == {"training.epochs": "3", "images.fit": "stretch", "evaluation.seed": "1"}
    assert json.loads(run.data.tags[CHANGED_TAG]) == {"training.epochs": "4"}


def test_a_param_that_is_the_first_again_is_no_longer_told_as_changed(
    workspace: Workspace, folder: Path, facts: RunFacts
) -> None:
    store = store_of(workspace)
    client = store.client()
    told = []
    for seed in (0, 7, 0):
        now = dataclasses.replace(facts, params={**facts.params, "evaluation.seed": seed})
        told.append(client.get_run(run_of(client, store, folder, now)).data.tags.get(CHANGED_TAG))
    assert told == [None, '{"evaluation.seed": "7"}', None]


def test_each_evaluation_of_a_training_has_a_run_and_the_first_one_has_the_trainings_own(
    workspace: Workspace, folder: Path, facts: RunFacts
) -> None:
    store = store_of(workspace)
    client = store.client()
    own = run_of(client, store, folder, facts)
    rules = {"aaaa1111": "youden", "bbbb2222": "cost"}
    runs: dict[str, set[str]] = {}
    for _ in range(2):
        for evaluation, rule in rules.items():
            params = {**facts.params, "evaluation.threshold": rule}
            one = dataclasses.replace(facts, params=params, evaluation=evaluation)
            runs.setdefault(evaluation, set()).add(run_of(client, store, folder, one))
    assert runs["aaaa1111"] == {own}
    (other,) = (client.get_run(run_id) for run_id in runs["bbbb2222"])
    assert other.info.run_id != own
    assert (other.info.run_name, other.data.tags[TRAINING_RUN_TAG]) == ("quick-abc-bbbb", own)
    assert other.data.params == {
        "training.epochs": "3", "images.fit": "stretch", "evaluation.threshold": "cost", EVALUATION: "bbbb2222"
    }  # fmt: skip
    assert run_of(client, store, folder, facts) == own, "the training's own, where no evaluation is meant"


def test_a_run_with_its_figures_goes_on_saying_what_it_was_made_of(
    workspace: Workspace, folder: Path, facts: RunFacts
) -> None:
    store = store_of(workspace)
    client = store.client()
    facts = dataclasses.replace(facts, evaluation="aaaa1111")
    run_id = run_of(client, store, folder, facts)
    client.set_terminated(run_id)
    before = client.get_run(run_id).data
    tags = {"catalog": "another", "recipe": "mine", "mlflow.parentRunId": "a-parent", "trial": "3"}
    run_of(client, store, folder, dataclasses.replace(facts, params={"training.epochs": 9}, tags=tags))
    after = client.get_run(run_id).data
    assert after.params == before.params
    assert after.tags == {**before.tags, "mlflow.parentRunId": "a-parent", "trial": "3"}


def test_the_run_of_an_older_xray_is_taken_for_the_one_evaluation_that_it_holds(
    workspace: Workspace, folder: Path, facts: RunFacts
) -> None:
    store = store_of(workspace)
    client = store.client()
    own = run_of(client, store, folder, facts)
    client.set_tag(own, f"{LOOK}0123.bbbb2222", "{}")
    client.log_metric(own, "test.auc", 0.9)
    ids = [
        run_of(client, store, folder, dataclasses.replace(facts, evaluation=evaluation))
        for evaluation in ("aaaa1111", "bbbb2222", "aaaa1111")
    ]
    assert ids[1] == own and ids[0] == ids[2] != own


def test_the_run_that_several_evaluations_of_an_older_xray_share_is_left_as_it_is(
    workspace: Workspace, folder: Path, facts: RunFacts
) -> None:
    store = store_of(workspace)
    client = store.client()
    own = run_of(client, store, folder, facts)
    for evaluation in ("aaaa1111", "bbbb2222"):
        client.set_tag(own, f"{LOOK}0123.{evaluation}", "{}")
    ids = {
        run_of(client, store, folder, dataclasses.replace(facts, evaluation=evaluation))
        for evaluation in ("aaaa1111", "bbbb2222")
    }
    assert len(ids) == 2 and own not in ids
    assert EVALUATION not in client.get_run(own).data.params


def test_the_parent_run_of_an_older_xray_is_known_by_its_settings(
    workspace: Workspace, folder: Path, facts: RunFacts
) -> None:
    store = store_of(workspace)
    client = store.client()
    facts = dataclasses.replace(facts, params={"evaluation.threshold": "youden"})
    own = run_of(client, store, folder, facts)
    client.log_metric(own, "test.auc", 0.9)  # the mean of its folds; it has looked at nothing itself
    other = dataclasses.replace(facts, params={"evaluation.threshold": "cost"}, evaluation="bbbb2222")
    assert run_of(client, store, folder, other) != own
    assert run_of(client, store, folder, dataclasses.replace(facts, evaluation="aaaa1111")) == own


def test_of_two_evaluations_that_take_a_run_at_once_one_gets_another(
    workspace: Workspace, folder: Path, facts: RunFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(workspace)
    client, rival = store.client(), store.client()
    own = run_of(client, store, folder, facts)
    log_inputs = client.log_inputs

    def late(*arguments: Any) -> None:
        log_inputs(*arguments)
        if EVALUATION not in rival.get_run(own).data.params:
            rival.log_param(own, EVALUATION, "aaaa1111")

    monkeypatch.setattr(client, "log_inputs", late)
    ours = run_of(client, store, folder, dataclasses.replace(facts, evaluation="bbbb2222"))
    assert ours != own
    assert client.get_run(own).data.params[EVALUATION] == "aaaa1111"
    assert client.get_run(ours).data.params[EVALUATION] == "bbbb2222"


def test_more_params_than_a_batch_holds(workspace: Workspace, folder: Path, facts: RunFacts) -> None:
    store = store_of(workspace)
    client = store.client()
    many = dataclasses.replace(facts, params={f"p{n}": n for n in range(230)})
    assert len(client.get_run(run_of(client, store, folder, many)).data.params) == 230


@pytest.mark.parametrize("content", ["{", "", "[]"])
def test_a_damaged_note_is_set_aside_and_the_run_found_by_its_training(
    workspace: Workspace, folder: Path, facts: RunFacts, content: str
) -> None:
    store = store_of(workspace)
    client = store.client()
    named = dataclasses.replace(facts, tags={**facts.tags, "training": folder.name})
    before = run_of(client, store, folder, named)
    (folder / "run.json").write_text(content)
    assert run_of(client, store, folder, named) == before
    assert (folder / "run.json.damaged").read_text() == content
    other = dataclasses.replace(facts, tags={**facts.tags, "training": "another"})
    (folder / "run.json").write_text(content)
    assert run_of(client, store, folder, other) != before


def test_the_commit_says_when_files_differ_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    git("init")
    assert git_commit(tmp_path) is None
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "-m", "a")
    commit = git_commit(tmp_path)
    assert commit is not None and len(commit) == 40
    (tmp_path / "a").write_text("b")
    assert git_commit(tmp_path) == f"{commit}-dirty"
