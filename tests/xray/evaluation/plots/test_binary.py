"""Pictures: each can be drawn, says what it is of, and shows the scans it should."""

from io import BytesIO

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from xray import config
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.metrics.split_metrics import Evaluation, evaluate_split
from xray.evaluation.plots import binary as figures

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


def all_pictures(scores: pd.DataFrame, evaluated: Evaluation) -> dict[str, str]:
    outcomes = Outcomes.of(scores)
    return {
        "classes": words(figures.class_distribution(scores, "pneumonia")),
        "roc": words(figures.roc_curve(scores, evaluated)),
        "precision": words(figures.precision_recall(scores, evaluated)),
        "calibration": words(figures.calibration(scores, evaluated)),
        "confusion": words(figures.confusion_matrix(outcomes, evaluated)),
        "scores": words(figures.score_distribution(scores, evaluated)),
    }


def test_every_picture_of_scores_says_the_split_the_scans_and_the_patients(decided: pd.DataFrame) -> None:
    drawn = all_pictures(decided, evaluate_split(decided, 0.6, FEW))
    assert "60 scans" in drawn.pop("classes")
    for text in drawn.values():
        assert "TEST: 60 scans of 30 patients, 66.7% pneumonia" in text


def test_the_curves_state_interval_and_both_thresholds(scored: pd.DataFrame) -> None:
    evaluated = evaluate_split(scored, 0.62, FEW)
    for text in (words(figures.roc_curve(scored, evaluated)), words(figures.precision_recall(scored, evaluated))):
        assert "95% interval" in text
        assert "chosen threshold 0.620" in text
        assert "threshold 0.500" in text


def test_the_confusion_matrix_counts_referred_scans_as_referred(decided: pd.DataFrame) -> None:
    evaluated, outcomes = evaluate_split(decided, 0.6, FEW), Outcomes.of(decided)
    text = words(figures.confusion_matrix(outcomes, evaluated))
    assert f"with referral: {outcomes.referred} of 60 referred" in text
    for label, row in outcomes.counts.items():
        for decision, count in row.items():
            assert count == ((decided["label"] == label) & (decided["decision"] == decision)).sum()
            assert f"{count}\n{count / outcomes.of_label(label):.1%} of row" in text
    alone = evaluated.chosen.figures["sensitivity"].value
    assert "if every scan is decided" in text
    assert f"{evaluated.chosen.confusion['tp']}\n{alone:.1%} of row" in text


def test_the_scores_tell_referred_scans_from_wrong_ones(decided: pd.DataFrame) -> None:
    text, outcomes = words(figures.score_distribution(decided, evaluate_split(decided, 0.6, FEW))), Outcomes.of(decided)
    for label, other in (("pneumonia", "normal"), ("normal", "pneumonia")):
        counts = outcomes.counts[label]
        for said in (
            f"{counts[label]} called {label}",
            f"{counts['refer']} referred",
            f"{counts[other]} wrong",
        ):
            assert said in text


@pytest.mark.parametrize(("score", "threshold"), [(0.1, 0.9), (1.0, 0.0)])
def test_a_model_that_calls_everything_the_same_can_be_drawn(
    scored: pd.DataFrame, score: float, threshold: float
) -> None:
    scores = scored.assign(p_pneumonia=score, decision="normal" if score < threshold else "pneumonia")
    assert all(all_pictures(scores, evaluate_split(scores, threshold, FEW)).values())


def test_a_model_without_mistakes_can_be_drawn(scored: pd.DataFrame) -> None:
    scores = scored.assign(p_pneumonia=(scored["label"] == "pneumonia").astype(float), decision=scored["label"])
    assert all(all_pictures(scores, evaluate_split(scores, 0.5, FEW)).values())


@pytest.mark.parametrize(("epochs", "best"), [(1, 1), (3, 2), (30, 22)])
def test_learning_curves_mark_the_best_epoch(epochs: int, best: int) -> None:
    assert f"best epoch {best}" in words(figures.learning_curves(history(epochs, best)))
