"""Pictures: each can be drawn, says what it is of, and shows the scans it should."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from xray import config
from xray.errors import EvaluationError
from xray.evaluation import figures
from xray.evaluation.report import Evaluation, evaluate

FEW = config.Evaluation(bootstrap_draws=100)


def words(figure: Figure) -> str:
    """Draw a figure, and give all the words on it."""
    figure.savefig(BytesIO(), dpi=30)
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def history(epochs: int, best: int) -> dict[str, object]:
    curve = [
        {"epoch": n, "loss": 1 / n, "accuracy": 1 - 0.5 / n, "val_loss": 1.1 / n, "val_accuracy": 1 - 0.6 / n}
        for n in range(1, epochs + 1)
    ]
    return {"epochs": curve, "best_epoch": best, "stopped_early": epochs > best, "precision": "float32"}


def all_pictures(scores: pd.DataFrame, judged: Evaluation) -> dict[str, str]:
    chosen = figures.choose_scans(scores, judged.chosen.threshold, most=3)
    pixels = np.full((len(chosen), 32, 40), 90, dtype=np.uint8)
    return {
        "classes": words(figures.class_distribution(scores)),
        "grid": words(figures.scan_grid(pixels, chosen, judged)),
        "roc": words(figures.roc_curve(scores, judged)),
        "precision": words(figures.precision_recall(scores, judged)),
        "calibration": words(figures.calibration(scores, judged)),
        "confusion": words(figures.confusion_matrix(judged)),
        "scores": words(figures.score_distribution(scores, judged)),
    }


def test_every_picture_of_scores_says_the_split_the_scans_and_the_patients(scored: pd.DataFrame) -> None:
    drawn = all_pictures(scored, evaluate(scored, 0.62, FEW))
    assert "60 scans" in drawn.pop("classes")
    for text in drawn.values():
        assert "TEST: 60 scans of 30 patients, 66.7% pneumonia" in text


def test_the_curves_state_interval_and_both_thresholds(scored: pd.DataFrame) -> None:
    judged = evaluate(scored, 0.62, FEW)
    for text in (words(figures.roc_curve(scored, judged)), words(figures.precision_recall(scored, judged))):
        assert "95% interval" in text
        assert "chosen threshold 0.620" in text
        assert "threshold 0.500" in text


def test_the_confusion_matrix_shows_counts_and_row_shares(scored: pd.DataFrame) -> None:
    judged = evaluate(scored, 0.62, FEW)
    text = words(figures.confusion_matrix(judged))
    found = judged.chosen.figures["sensitivity"].value
    assert f"{judged.chosen.confusion['tp']}\n{found:.1%} of row" in text


@pytest.mark.parametrize(("score", "threshold"), [(0.1, 0.9), (1.0, 0.0)])
def test_a_model_that_calls_everything_the_same_can_be_drawn(
    scored: pd.DataFrame, score: float, threshold: float
) -> None:
    scores = scored.assign(p_pneumonia=score)
    assert all(all_pictures(scores, evaluate(scores, threshold, FEW)).values())


def test_a_model_without_mistakes_can_be_drawn(scored: pd.DataFrame) -> None:
    scores = scored.assign(p_pneumonia=(scored["label"] == "pneumonia").astype(float))
    text = all_pictures(scores, evaluate(scores, 0.5, FEW))["grid"]
    assert "Right (60 of 60)" in text
    assert "Wrong (0 of 60)" in text


@pytest.mark.parametrize(("epochs", "best"), [(1, 1), (3, 2), (30, 22)])
def test_learning_curves_mark_the_best_epoch(epochs: int, best: int) -> None:
    assert f"best epoch {best}" in words(figures.learning_curves(history(epochs, best)))


def test_the_grid_shows_right_scans_first_and_then_the_most_confident_wrong(scored: pd.DataFrame) -> None:
    chosen = figures.choose_scans(scored, 0.6, most=4)
    right, wrong = chosen[chosen["right"]], chosen[~chosen["right"]]
    assert chosen["right"].tolist() == sorted(chosen["right"], reverse=True)
    assert (right["label"] == right["predicted"]).all()
    assert (wrong["label"] != wrong["predicted"]).all()
    assert right["label"].value_counts().to_dict() == {"normal": 2, "pneumonia": 2}


def test_confidence_is_the_way_past_the_threshold_as_a_share_of_what_was_possible() -> None:
    # Threshold 0.8. Normal called pneumonia: 0.9 is 1/2 of the way to 1. Missed: 0.2 is 3/4 of the way to 0, 0.6 1/4.
    scores = pd.DataFrame(
        {
            "image_id": ["half", "quarter", "three quarters"],
            "sha256": ["a", "b", "c"],
            "label": ["normal", "pneumonia", "pneumonia"],
            "p_pneumonia": [0.9, 0.6, 0.2],
        }
    )
    assert figures.choose_scans(scores, 0.8)["image_id"].tolist() == ["three quarters", "half", "quarter"]


def test_the_same_scans_are_chosen_whatever_the_order_of_the_rows(scored: pd.DataFrame) -> None:
    shuffled = scored.sample(frac=1, random_state=1)
    chosen, again = (figures.choose_scans(scores, 0.6) for scores in (scored, shuffled))
    assert chosen["image_id"].tolist() == again["image_id"].tolist()


def test_the_grid_refuses_pixels_that_are_not_one_a_scan(scored: pd.DataFrame) -> None:
    chosen = figures.choose_scans(scored, 0.6)
    with pytest.raises(EvaluationError, match="one picture a scan"):
        figures.scan_grid(np.zeros((1, 8, 8), dtype=np.uint8), chosen, evaluate(scored, 0.6, FEW))
