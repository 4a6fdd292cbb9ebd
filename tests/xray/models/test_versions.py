"""The versions of a model, as a person chooses among them."""

import json
from pathlib import Path

import pytest

from tests.xray.promotion.promoters import NAME, with_versions
from tests.xray.tracking.judged_runs import written_over
from xray.config import Workspace
from xray.errors import RegistryError
from xray.models.versions import versions
from xray.runs.training_run import Recorded


def test_versions_come_newest_first_with_what_a_person_chooses_by(workspace: Workspace) -> None:
    client = with_versions(workspace, 10)
    experiment = client.create_experiment("xray-test")
    run = client.create_run(experiment).info.run_id
    client.log_metric(run, "test.auc", 0.9)
    client.log_metric(run, "validation.auc", 0.99)
    tags = {"catalog": "0123", "recipe": "quick", "promotion.verdict": "refused"}
    client.create_model_version(NAME, source=Path(workspace.home).as_uri(), run_id=run, tags=tags)
    client.set_registered_model_alias(NAME, "champion", "11")
    client.set_registered_model_alias(NAME, "best", "11")
    newest, *others = versions(workspace, NAME)
    assert [each.version for each in others] == [str(number) for number in range(10, 0, -1)]
    assert (newest.version, newest.aliases, newest.run_id) == ("11", ["best", "champion"], run)
    assert newest.figures == {"auc": 0.9}
    assert (newest.catalog, newest.recipe, newest.verdict) == ("0123", "quick", "refused")
    assert (others[0].figures, others[0].recipe) == ({}, "")
    assert json.loads(json.dumps(newest.to_dict()))["created_ms"] > 0


def test_each_version_has_the_figures_of_its_own_evaluation(
    recorded: Recorded, recorded_strictly: Recorded, recorded_second: Recorded, home: Workspace
) -> None:
    found = {each.version: each for each in versions(home, recorded.registered.name)}
    assert len(found) == 3
    for each in (recorded, recorded_strictly, recorded_second):
        version, figures = found[each.registered.version], each.evaluated.report()["metrics"]
        assert version.figures == {name: figures[f"test.{name}"] for name in version.figures}
        assert version.run_id == each.run_id and not version.overwritten
    one, other = (found[each.registered.version].figures for each in (recorded, recorded_strictly))
    assert one["sensitivity"] < other["sensitivity"] and one["auc"] == other["auc"]


def test_of_versions_that_share_a_run_only_the_one_whose_figures_it_has_shows_them(
    workspace: Workspace, network: Path
) -> None:
    written_over(workspace, network, kept=(0.4, 0.6), now=0.6)
    second, first = versions(workspace, NAME)
    assert (bool(second.figures), second.overwritten) == (True, False)
    assert (first.figures, first.overwritten) == ({}, True)


def test_no_such_model_is_one_line(workspace: Workspace) -> None:
    with pytest.raises(RegistryError, match=r"^a model must be registered: train one first. Received: nobody[^\n]+$"):
        versions(workspace, "nobody")
