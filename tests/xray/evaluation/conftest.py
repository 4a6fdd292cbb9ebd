"""Scores to judge: made up, with known patients, causes and ties; and one small training with its evaluation."""

from typing import TYPE_CHECKING

import pytest

from tests.xray.conftest import Learned

if TYPE_CHECKING:  # most tests here need no TensorFlow
    from xray.evaluation.evaluate import Evaluated
    from xray.training.fit import Trained


@pytest.fixture(scope="session")
def trained(prepared: Learned, tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """A finished training on the phantoms. Read only."""
    from xray.training.fit import train
    from xray.training.training_digest import training_digest

    folder = tmp_path_factory.mktemp("judged") / training_digest(prepared.catalog, prepared.config)
    return train(prepared.catalog, prepared.store, prepared.config, folder)


@pytest.fixture(scope="session")
def evaluated(trained: "Trained", prepared: Learned) -> "Evaluated":
    """Its evaluation. Read only."""
    from xray.evaluation.evaluate import evaluate

    return evaluate(trained, prepared.catalog, prepared.store, prepared.config)
