"""Which run a word means."""

import pytest
from mlflow import MlflowClient

from xray.config import Workspace
from xray.errors import RegistryError
from xray.tracking.lookup.find_run import find_run
from xray.tracking.store import store_of

NAME = "xray-test"


@pytest.fixture
def client(workspace: Workspace) -> MlflowClient:
    return store_of(workspace).client()


def new_run(client: MlflowClient, name: str, experiment: str = "0") -> str:
    return str(client.create_run(experiment, run_name=name).info.run_id)


def found(client: MlflowClient, word: str) -> str:
    return str(find_run(client, word).info.run_id)


def test_by_id_by_its_beginning_and_by_name_in_any_experiment(client: MlflowClient) -> None:
    run_id = new_run(client, "quick-abc", client.create_experiment("another"))
    new_run(client, "article-abc")
    for word in (run_id, run_id[:8], "quick-abc"):
        assert found(client, word) == run_id


def test_a_name_may_look_like_an_id_and_hold_a_quote(client: MlflowClient) -> None:
    for name in ("beef", "it's"):
        assert new_run(client, name) == found(client, name)


def test_by_registered_version_and_alias(client: MlflowClient) -> None:
    runs = [new_run(client, "one"), new_run(client, "two")]
    client.create_registered_model(NAME)
    for run_id in runs:
        client.create_model_version(NAME, source="file:///model", run_id=run_id)
    client.set_registered_model_alias(NAME, "champion", "1")
    assert [found(client, f"{NAME}/{version}") for version in (1, 2)] == runs
    for word in (f"{NAME}@champion", f"models:/{NAME}@champion", f"models:/{NAME}/1"):
        assert found(client, word) == runs[0]


def test_a_version_without_a_run_is_refused(client: MlflowClient) -> None:
    client.create_registered_model(NAME)
    client.create_model_version(NAME, source="file:///model")
    with pytest.raises(RegistryError, match=f"must come from a run.*Received: {NAME}/1"):
        found(client, f"{NAME}/1")


@pytest.mark.parametrize("word", [f"{NAME}/3", f"{NAME}@champion", f"models:/{NAME}/3", f"models:/{NAME}@champion"])
def test_a_version_that_is_not_there_is_one_line(client: MlflowClient, word: str) -> None:
    with pytest.raises(RegistryError, match=f"^no such version is registered.*Received: {word}$"):
        found(client, word)
    client.create_registered_model(NAME)
    with pytest.raises(RegistryError, match=f"^no such version is registered.*Received: {word}$"):
        found(client, word)


@pytest.mark.parametrize("word", ["nobody", "0123abcd", "abc", "", "%", "it's"])
def test_no_run_is_one_line(client: MlflowClient, word: str) -> None:
    new_run(client, "somebody")
    with pytest.raises(RegistryError, match="^name a run by its id.*xray runs lists the last ones. Received: "):
        found(client, word)


def test_a_word_that_means_several_names_them(client: MlflowClient) -> None:
    runs = [new_run(client, "twice") for _ in range(7)]
    with pytest.raises(RegistryError, match=r"^twice must name one run.*Received: twice \(.* and 2 more$") as error:
        found(client, "twice")
    assert sum(run_id[:8] in str(error.value) for run_id in runs) == 5
