"""What changed scans cost: by hand on flat pictures, and against the comparison of two models."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from xray.config import Evaluation
from xray.errors import EvaluationError
from xray.evaluation.inspection.perturbations import ROBUSTNESS, inverted
from xray.evaluation.inspection.robustness import COLUMNS, METRICS, Robustness, robustness
from xray.evaluation.metrics.paired_comparison import compare

FEW = Evaluation(bootstrap_draws=200)


def brightness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A model that takes mean gray for the probability of pneumonia."""
    return pixels.mean(axis=(1, 2)) / 255


def scans(grays: list[int], positive: list[bool], patients: list[str]) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Flat scans of 32 x 32, with the scores that `brightness` gives them."""
    pixels = np.repeat(np.array(grays, dtype=np.uint8), 32 * 32).reshape(-1, 32, 32)
    table = pd.DataFrame(
        {
            "image_id": [f"scan{number}.png" for number in range(len(grays))],
            "sha256": [f"{number:016x}" for number in range(len(grays))],
            "patient_id": patients,
            "label": np.where(positive, "pneumonia", "normal"),
            "subtype": np.where(positive, "viral", "normal"),
            "split": "test",
            "p_pneumonia": brightness(pixels),
        }
    )
    return pixels, table


PIXELS, SCORES = scans([200, 150, 100, 50], [True, True, False, False], ["anna", "ben", "carl", "dora"])


@pytest.fixture(scope="module")
def by_hand() -> Robustness:
    return robustness(brightness, PIXELS, SCORES, 0.5, FEW)


def figures_of(found: Robustness, change: str) -> list[float]:
    return [found.figures[f"{change}.{name}"].value for name in METRICS]


def losses_of(found: Robustness, change: str) -> list[float]:
    return [loss.value for loss in found.losses(change).values()]


def test_each_figure_by_hand(by_hand: Robustness) -> None:
    assert by_hand.changes == tuple(ROBUSTNESS)
    assert figures_of(by_hand, "unchanged") == [1, 1, 1, 1]
    # 55 and 105 of the sick, 155 and 205 of the healthy: every pair and every decision is wrong
    assert figures_of(by_hand, "inverted") == [0, 0, 0, 0]
    assert losses_of(by_hand, "inverted") == [1, 1, 1, 1]
    # 215, 176, 132 and 82: one healthy scan comes to lie above 127.5
    assert figures_of(by_hand, "gamma_0.7") == [1, 0.75, 1, 0.5]
    assert losses_of(by_hand, "gamma_0.7") == [0, 0.25, 0, 0.5]
    # 182, 121, 69 and 26: one sick scan comes to lie below
    assert losses_of(by_hand, "gamma_1.4") == [0, 0.25, 0.5, 0]


def test_what_the_model_does_not_see_costs_exactly_nothing(by_hand: Robustness) -> None:
    for change in ("rotated_5_degrees", "half_resolution"):
        for loss in by_hand.losses(change).values():
            assert (loss.value, loss.low, loss.high) == (0, 0, 0)


def test_a_loss_and_its_interval_are_those_of_two_models_on_the_same_scans() -> None:
    generator = np.random.default_rng(2)
    positive = [bool(place % 2) for place in range(60)]
    grays = [int(each) for each in np.where(positive, 140, 110) + generator.integers(-50, 50, 60)]
    pixels, whole = scans(grays, positive, [f"person{place // 2}" for place in range(60)])
    found = robustness(brightness, pixels, whole, 0.5, FEW)
    changed = whole.assign(p_pneumonia=brightness(ROBUSTNESS["gamma_0.7"](pixels)))
    differences = compare(changed, whole, (0.5, 0.5), FEW).differences
    assert {name: differences[name].difference for name in METRICS} == found.losses("gamma_0.7")
    assert found.losses("gamma_0.7")["specificity"].low is not None
    assert [differences[name].first for name in METRICS] == figures_of(found, "gamma_0.7")
    assert (found.split, found.scans, found.patients) == ("test", 60, 30)


def test_the_changes_can_be_chosen() -> None:
    found = robustness(brightness, PIXELS, SCORES, 0.5, FEW, {"negative": inverted})
    assert found.changes == ("negative",)


def test_many_scans_are_scored_in_their_order() -> None:
    grays = [place % 256 for place in range(1100)]
    pixels, scores = scans(grays, [gray > 127 for gray in grays], [f"person{place}" for place in range(1100)])
    assert losses_of(robustness(brightness, pixels, scores, 0.5, FEW, {"same": np.copy}), "same") == [0, 0, 0, 0]


def test_numbers_are_named_by_change_and_figure(by_hand: Robustness) -> None:
    flat = by_hand.flat("robustness")
    assert flat["robustness.inverted.auc"] == 0
    assert flat["robustness.inverted.auc_loss"] == 1
    assert flat["robustness.gamma_0.7.specificity_loss_low"] <= flat["robustness.gamma_0.7.specificity_loss"]
    assert flat["robustness.jpeg_30.auc_loss_high"] == 0
    assert not [name for name in flat if "unchanged" in name]


def test_the_table_has_the_figures_first_and_then_the_losses(by_hand: Robustness) -> None:
    rows = by_hand.rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert rows[0] == ("none: the figures, no losses", *["1.000 (1.000 to 1.000)"] * 4)
    assert rows[-1] == ("inverted", *["1.000 (1.000 to 1.000)"] * 4)
    assert [row[0] for row in rows[1:4]] == ["rotated 5 degrees", "rotated 10 degrees", "cut above and below"]


def test_pixels_in_another_order_are_refused() -> None:
    with pytest.raises(EvaluationError, match="in the order of scores.*Received: scan 0 scored 0.588 off"):
        robustness(brightness, PIXELS[::-1], SCORES, 0.5, FEW)


def test_another_number_of_pictures_is_refused() -> None:
    with pytest.raises(EvaluationError, match="one image per scan. Received: 3 for 4 scans"):
        robustness(brightness, PIXELS[:3], SCORES, 0.5, FEW)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (SCORES.assign(split=["test", "test", "train", "test"]), r"one split. Received: \['test', 'train'\]"),
        (SCORES.drop(columns="label"), r"Missing: \['label'\]"),
        (SCORES.assign(label="normal"), "both labels"),
    ],
)
def test_scores_that_cannot_be_judged_are_refused(scores: pd.DataFrame, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        robustness(brightness, PIXELS, scores, 0.5, FEW)


def test_a_model_that_gives_no_number_on_changed_scans_is_refused() -> None:
    def breaks(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.full(len(pixels), np.nan)

    with pytest.raises(EvaluationError, match="within 0 to 1. Received: nan"):
        robustness(
            lambda pixels: brightness(pixels) if np.array_equal(pixels, PIXELS) else breaks(pixels),
            PIXELS, SCORES, 0.5, FEW,
        )  # fmt: skip
