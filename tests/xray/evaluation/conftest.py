"""Scores to judge: made up, with known patients, causes and ties; and one small training with its evaluation."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tests.xray.conftest import Learned
from xray.labels import decide

if TYPE_CHECKING:  # most tests here need no TensorFlow
    from xray.evaluation.evaluate import Evaluated
    from xray.training.fit import Trained


@pytest.fixture
def scored() -> pd.DataFrame:
    """Sixty TEST scans of thirty patients, two in three pneumonia, scored well but not perfectly; none is decided."""
    generator = np.random.default_rng(5)
    place = np.arange(60)
    positive = place % 3 > 0
    p = np.clip(np.where(positive, 0.75, 0.3) + generator.normal(scale=0.2, size=60), 0, 1).round(2)
    return pd.DataFrame(
        {
            "image_id": [f"scan{number:02d}.jpeg" for number in place],
            "sha256": [f"{number:016x}" for number in generator.permutation(60)],
            "patient_id": [f"person{number // 2}" for number in place],
            "label": np.where(positive, "pneumonia", "normal"),
            "subtype": np.where(~positive, "normal", np.where(place % 3 == 1, "bacterial", "covid-19")),
            "split": "test",
            "p_pneumonia": p,
        }
    )


@pytest.fixture
def decided(scored: pd.DataFrame) -> pd.DataFrame:
    """The same, decided at 0.6, with those from 0.5 to 0.7 referred."""
    return scored.assign(decision=decide(scored["p_pneumonia"].to_numpy(), 0.6, 0.5, 0.7))


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
