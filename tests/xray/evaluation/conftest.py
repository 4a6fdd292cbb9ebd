"""Scores to judge: made up, with known patients, causes and ties."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def scored() -> pd.DataFrame:
    """Sixty TEST scans of thirty patients, two in three pneumonia, scored well but not perfectly."""
    generator = np.random.default_rng(5)
    place = np.arange(60)
    sick = place % 3 > 0
    p = np.clip(np.where(sick, 0.75, 0.3) + generator.normal(scale=0.2, size=60), 0, 1).round(2)
    return pd.DataFrame(
        {
            "image_id": [f"scan{number:02d}.jpeg" for number in place],
            "sha256": [f"{number:016x}" for number in generator.permutation(60)],
            "patient_id": [f"person{number // 2}" for number in place],
            "label": np.where(sick, "pneumonia", "normal"),
            "subtype": np.where(~sick, "normal", np.where(place % 3 == 1, "bacterial", "covid-19")),
            "split": "test",
            "p_pneumonia": p,
        }
    )
