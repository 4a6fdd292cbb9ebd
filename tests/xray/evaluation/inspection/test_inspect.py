"""A judged network is looked into once, on the TEST scans and with the scores that judged it."""

import numpy as np
import pytest
from PIL import Image

from tests.xray.conftest import Learned
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.inspection.inspect import Inspected, inspect, inspection_of
from xray.training.fit import Trained


@pytest.fixture(scope="module")
def inspected(trained: Trained, evaluated: Evaluated, prepared: Learned) -> Inspected:
    assert inspection_of(trained, evaluated) is None
    return inspect(trained, evaluated, prepared.catalog, prepared.store, prepared.config)


def test_it_finds_parts_changes_shortcuts_and_maps(inspected: Inspected) -> None:
    report = inspected.report()
    assert {name.split(".")[0] for name in report["metrics"]} == {"slices", "robustness", "shortcut", "maps"}
    assert report["metrics"]["shortcut.marked"] in (0.0, 1.0)
    assert set(report["verdicts"]) == {"shortcuts", "brightest spots", "maps"}
    assert {"Weakest slice", "Worst change"} <= set(report["weak"])
    for columns, rows in report["tables"].values():
        assert rows and all(len(row) == len(columns) for row in rows)


def test_a_subtypes_sensitivity_is_the_evaluations(inspected: Inspected, evaluated: Evaluated) -> None:
    sensitivity = evaluated.report()["metrics"]["test.sensitivity_bacterial"]
    assert inspected.report()["metrics"]["slices.subtype.bacterial.sensitivity"] == pytest.approx(sensitivity)


def test_every_picture_shows_something(inspected: Inspected) -> None:
    assert [path.stem for path in inspected.plots()] == ["maps", "robustness", "slices"]
    for path in inspected.plots():
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 5


def test_done_again_it_is_reused_and_found(
    inspected: Inspected, trained: Trained, evaluated: Evaluated, prepared: Learned
) -> None:
    again = inspect(trained, evaluated, prepared.catalog, prepared.store, prepared.config)
    assert again.reused and not inspected.reused
    found = inspection_of(trained, evaluated)
    assert found is not None and found.folder == again.folder == inspected.folder
