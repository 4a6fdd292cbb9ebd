"""The commands `xray runs` and `xray compare`, on a store that holds three judged runs."""

import json

import pytest

from tests.flows.test_cli import Answer, called
from tests.xray.tracking.judged_runs import EXPERIMENT, judged_run, scores_of
from xray.config import Workspace
from xray.evaluation.metrics.names import ALL


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """The answers of all commands, from one child."""
    folder = tmp_path_factory.mktemp("runs")
    workspace = Workspace(home=folder / "home")
    workspace.mlruns.mkdir(parents=True)
    for name, noise, scans in (("good", 0.2, 40), ("poor", 0.7, 40), ("fewer", 0.2, 24)):
        judged_run(workspace, name, scores_of(noise, scans), {"noise": noise})
    commands = {
        "runs": ["runs", "--experiment", EXPERIMENT],
        "runs as JSON": ["runs", "--experiment", EXPERIMENT, "--last", "2", "--json"],
        "compare": ["compare", "good", "poor"],
        "compare as JSON": ["compare", "good", "poor", "--json"],
        "refused": ["compare", "good", "fewer"],
        "shared": ["compare", "good", "fewer", "--shared"],
    }
    return called(folder, {name: [*words, "--home", "home"] for name, words in commands.items()})[0]


def test_runs_lists_them_and_says_where_the_page_is(answers: dict[str, Answer]) -> None:
    answer = answers["runs"]
    assert (answer.code, answer.err) == (0, "")
    assert all(name in answer.out for name in ("good", "poor", "fewer", "finished"))
    assert "viewStateShareKey=xray&workflowType=machine_learning" in answer.out
    assert "ui --home home" in answer.out


def test_runs_as_json_is_json_and_no_more(answers: dict[str, Answer]) -> None:
    assert [run["name"] for run in json.loads(answers["runs as JSON"].out)] == ["fewer", "poor"]


def test_compare_says_what_differs_and_what_is_real(answers: dict[str, Answer]) -> None:
    answer = answers["compare"]
    assert (answer.code, answer.err) == (0, "")
    for words in ("noise", "40 TEST scans of 20 patients", "significant", "McNemar's p =", "without correction"):
        assert words in answer.out


def test_compare_as_json_holds_every_figure(answers: dict[str, Answer]) -> None:
    (compared,) = json.loads(answers["compare as JSON"].out)["compared"]
    assert set(compared["figures"]) == set(ALL)
    assert compared["figures"]["auc"]["is_real"] is True


def test_other_test_scans_end_in_one_line_until_shared_is_given(answers: dict[str, Answer]) -> None:
    refused = answers["refused"]
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "--shared" in refused.err
    assert "only the 24 TEST scans" in answers["shared"].out
