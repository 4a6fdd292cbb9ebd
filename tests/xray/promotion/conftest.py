"""Plots are drawn small here."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _small(small_pictures: None) -> None:
    """No test here looks at a plot."""
