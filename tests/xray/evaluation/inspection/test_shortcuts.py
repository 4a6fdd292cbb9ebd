"""The shortcut audit: models that by construction read the corner, the centre or the mean gray."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from xray.config import Evaluation
from xray.evaluation.inspection.linear_probe import Probe
from xray.evaluation.inspection.robustness import Predict, Robustness
from xray.evaluation.inspection.shortcuts import COLUMNS, Shortcuts, shortcuts
from xray.evaluation.metrics.bootstrap import Estimate

FEW = Evaluation(bootstrap_draws=200)
SCANS = 80
NO_PROBE = Probe({}, {"normal.IM": 5})


def reads_the_corner(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return pixels[:, :3, :3].mean(axis=(1, 2)) / 255


def reads_the_centre(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return pixels[:, 20:30, 20:30].mean(axis=(1, 2)) / 255


def reads_the_mean_gray(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return pixels.mean(axis=(1, 2)) / 255


def scans(*, corner: bool = False, centre: bool = False) -> NDArray[np.uint8]:
    """Draw scans of 50 x 50 with grain; every other one, of pneumonia, is brighter where it is said to be."""
    drawn = np.random.default_rng(1).integers(60, 140, (SCANS, 50, 50))
    drawn[::2, :3, :3] += 60 * corner
    drawn[::2, 20:30, 20:30] += 60 * centre
    return drawn.astype(np.uint8)


CORNER, CENTRE = scans(corner=True), scans(centre=True)


def audit(predict: Predict, pixels: NDArray[np.uint8], patients: int = SCANS // 2) -> Shortcuts:
    positive = np.arange(SCANS) % 2 == 0
    scores = pd.DataFrame(
        {
            "patient_id": [f"person{place % patients}" for place in range(SCANS)],
            "label": np.where(positive, "pneumonia", "normal"),
            "subtype": np.where(positive, "viral", "normal"),
            "split": "test",
            "p_pneumonia": predict(pixels),
        }
    )
    return shortcuts(predict, pixels, scores, 0.5, NO_PROBE, FEW)


def test_a_model_that_reads_a_corner_is_marked() -> None:
    found = audit(reads_the_corner, CORNER)
    figures = found.masked.figures
    assert figures["unchanged.auc"].value > 0.95
    assert figures["centre_masked.auc"] == figures["unchanged.auc"]
    assert figures["border_masked.auc"].value == pytest.approx(0.5, abs=0.2)
    assert found.verdict.marked
    assert "the AUC changes from 1.000 to 1.000, a loss of 0.000 (0.000 to 0.000)" in str(found.verdict)
    assert "is not shown, so it may not need the lungs" in str(found.verdict)
    assert "better than guessing" in found.verdict.why


def test_a_model_that_reads_the_centre_is_not() -> None:
    found = audit(reads_the_centre, CENTRE)
    figures = found.masked.figures
    assert figures["unchanged.auc"].value > 0.95
    assert figures["border_masked.auc"] == figures["unchanged.auc"]
    assert figures["centre_masked.auc"].value == pytest.approx(0.5, abs=0.2)
    assert not found.verdict.marked
    assert "is shown, so it needs the lungs" in str(found.verdict)
    assert "better than guessing" not in found.verdict.why


def test_how_bright_the_hidden_lungs_were_does_not_get_through() -> None:
    lungs = np.full((SCANS, 50, 50), 90, dtype=np.uint8)
    lungs[::2, 10:40, 10:40] = 160
    found = audit(reads_the_mean_gray, lungs)
    assert found.masked.figures["unchanged.auc"].value == 1
    assert found.masked.figures["centre_masked.auc"].value == 0.5
    assert not found.verdict.marked


@pytest.mark.parametrize(("low", "marked"), [(0.049, True), (0.05, False), (0.2, False), (-0.1, True), (None, True)])
def test_the_lower_end_of_the_loss_decides(low: float | None, marked: bool) -> None:
    figures = {
        "unchanged.auc": Estimate(0.8, 0.7, 0.9),
        "centre_masked.auc": Estimate(0.5, 0.4, 0.6),
        "centre_masked.auc_loss": Estimate(0.3, low, None if low is None else 0.4),
    }
    masked = Robustness("test", 9, 9, 0.5, ("centre_masked",), figures)
    assert Shortcuts(masked, NO_PROBE).verdict.marked is marked


def test_doubt_marks_a_model() -> None:
    one_patient = audit(reads_the_centre, CENTRE, patients=1)
    assert one_patient.masked.figures["centre_masked.auc_loss"].low is None
    assert one_patient.masked.figures["centre_masked.auc_loss"].value > 0.2
    assert one_patient.verdict.marked
    assert "no interval" in one_patient.verdict.why


def test_a_model_that_half_needs_the_lungs_is_judged_by_the_lower_end() -> None:
    # In four of the forty scans of pneumonia the corner tells nothing: the loss is small, and its interval goes on.
    worse = scans(corner=True, centre=True)
    worse[::20, :3, :3] -= 60

    def reads_both(scans: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.maximum(reads_the_corner(scans), reads_the_centre(scans))

    found = audit(reads_both, worse)
    loss = found.masked.figures["centre_masked.auc_loss"]
    assert loss.low is not None
    assert loss.high is not None
    assert loss.low < 0.05 < loss.high
    assert found.verdict.marked


def test_numbers_and_words() -> None:
    found = audit(reads_the_corner, CORNER)
    flat = found.flat("shortcut")
    assert flat["shortcut.marked"] == 1
    assert audit(reads_the_centre, CENTRE).flat("shortcut")["shortcut.marked"] == 0
    assert flat["shortcut.centre_masked.auc"] == found.masked.figures["unchanged.auc"].value
    assert flat["shortcut.centre_masked.auc_loss"] == 0
    assert flat["shortcut.blurred.auc_low"] <= flat["shortcut.blurred.auc"] <= flat["shortcut.blurred.auc_high"]
    rows = found.rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert [row[0] for row in rows] == ["the whole scan", "centre masked", "border masked", "blurred"]
    assert rows[0][1] == rows[1][1] == str(found.masked.figures["unchanged.auc"])
    assert rows[1][2] == "0.000 (0.000 to 0.000)"
