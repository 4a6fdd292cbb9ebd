"""What a run is told of itself."""

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from xray.config import Places
from xray.registry.runs import CHANGED_TAG, RunFacts, git_commit, run_of
from xray.registry.store import store_of


def test_params_tags_and_the_data_set_with_our_own_digest(places: Places, folder: Path, facts: RunFacts) -> None:
    store = store_of(places)
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


def test_a_param_that_is_another_later_is_kept_as_a_tag(places: Places, folder: Path, facts: RunFacts) -> None:
    store = store_of(places)
    client = store.client()
    run_of(client, store, folder, facts)
    later = dataclasses.replace(facts, params={**facts.params, "training.epochs": 4, "evaluation.seed": 1})
    run = client.get_run(run_of(client, store, folder, later))
    assert run.data.params == {"training.epochs": "3", "images.fit": "stretch", "evaluation.seed": "1"}
    assert json.loads(run.data.tags[CHANGED_TAG]) == {"training.epochs": "4"}


def test_more_params_than_a_batch_holds(places: Places, folder: Path, facts: RunFacts) -> None:
    store = store_of(places)
    client = store.client()
    many = dataclasses.replace(facts, params={f"p{n}": n for n in range(230)})
    assert len(client.get_run(run_of(client, store, folder, many)).data.params) == 230


@pytest.mark.parametrize("content", ["{", "", "[]"])
def test_a_damaged_note_is_set_aside_and_the_run_found_by_its_training(
    places: Places, folder: Path, facts: RunFacts, content: str
) -> None:
    store = store_of(places)
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
