"""A run's settings, read back from the text that MLflow keeps."""

from dataclasses import replace
from pathlib import Path

import pytest

from xray.config import Evaluation, Workspace, load_config
from xray.tracking.run_config import evaluation_of, settings_of
from xray.tracking.run_identity import RunFacts, run_of
from xray.tracking.store import store_of


def test_what_a_run_was_told_is_read_back_as_it_was(workspace: Workspace, folder: Path, facts: RunFacts) -> None:
    store = store_of(workspace)
    client = store.client()
    config = load_config("default", ["evaluation.threshold=cost", "evaluation.prevalence=0.25", "evaluation.seed=7"])
    for settings in (config, load_config("default")):
        run_of(client, store, folder, replace(facts, params=settings.flat()))
        run = client.get_run(run_of(client, store, folder, replace(facts, params=settings.flat())))
        assert settings_of(run) == {name: str(value) for name, value in settings.flat().items()}
        assert evaluation_of(settings_of(run)) == settings.evaluation


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"evaluation.prevalence": "None"},
        {"evaluation.prevalence": "often"},
        {"evaluation.threshold": "f1>=0.9", "evaluation.bootstrap_draws": "1"},
        {"evaluation.of_a_later_version": "1", "training.seed": "2"},
    ],
)
def test_what_is_missing_or_not_known_is_at_its_default(settings: dict[str, str]) -> None:
    assert evaluation_of(settings) == Evaluation()
    assert evaluation_of({**settings, "evaluation.seed": "3"}) == Evaluation(seed=3)
