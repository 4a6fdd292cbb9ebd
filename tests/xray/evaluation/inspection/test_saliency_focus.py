"""Where maps are brightest: maps whose spots the test put there."""

import numpy as np
import pytest
from numpy.typing import NDArray

from xray.evaluation.inspection.saliency_focus import focus


def lit(*spots: tuple[int, int]) -> NDArray[np.float32]:
    """Maps of 100 x 50, each brightest at one place, given by row and column, and dim elsewhere."""
    maps = np.full((len(spots), 100, 50), 0.2, dtype=np.float32)
    for number, spot in enumerate(spots):
        maps[number][spot] = 1
    return maps


CORNER = [(97, 1), (95, 2), (98, 3)] * 3
LUNGS = [(30, 12), (50, 38), (70, 12), (40, 38), (60, 15), (75, 35)]


def test_maps_that_are_brightest_at_one_place_are_found_and_the_place_is_told() -> None:
    found = focus(lit(*CORNER, *LUNGS[:4]))
    assert found.coincide
    assert (found.maps, found.together, found.outside) == (13, 9 / 13, 9 / 13)
    assert [found.right, found.down] == pytest.approx([0.03, 0.975])
    assert str(found).startswith("9 of 13 maps are brightest at the same place, 3% of the width from the left")
    assert "69% of all spots are at the image's edge" in str(found)


def test_maps_that_are_brightest_at_many_places_are_not_said_to_coincide() -> None:
    found = focus(lit(*LUNGS, *CORNER[:6]))
    assert found.together == 0.5 and found.coincide, "half is the limit"
    found = focus(lit(*LUNGS, (20, 25), *CORNER[:5]))
    assert not found.coincide
    assert str(found).startswith("the brightest spots differ between scans: at most 5 of 12 maps share a place")


def test_few_maps_may_come_together_by_chance() -> None:
    assert focus(lit(*CORNER[:6])).together == 1
    assert not focus(lit(*CORNER[:6])).coincide


def test_maps_without_evidence_do_not_count() -> None:
    maps = np.concatenate([lit(*LUNGS), np.zeros((4, 100, 50), np.float32)])
    assert focus(maps).maps == 6
    none = focus(np.zeros((4, 100, 50), np.float32))
    assert (none.maps, none.coincide, str(none)) == (0, False, "no map shows evidence")
