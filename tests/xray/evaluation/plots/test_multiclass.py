"""Pictures of several classes: each can be drawn, says what it is of, and shows what was counted."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.special import softmax

from xray import config
from xray.evaluation.metrics.multiclass import ClassEvaluation, ClassScores, evaluate_classes
from xray.evaluation.plots.multiclass import class_confusion, class_rocs

CLASSES = ("normal", "bacterial", "viral", "covid-19")


def words(figure: Figure) -> str:
    """Draw a figure, and give all the words on it."""
    figure.savefig(BytesIO(), dpi=30)
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def scored(covid: int) -> ClassScores:
    """Forty scans of each class, two to a patient, and as many COVID-19 scans as asked for."""
    truth = np.repeat(np.arange(4), [40, 40, 40, covid])
    logits = np.random.default_rng(0).normal(size=(len(truth), 4)) + 1.5 * np.eye(4)[truth]
    patients = [f"person{number // 2}" for number in range(len(truth))]
    return ClassScores("out_of_fold", CLASSES, truth, softmax(logits, axis=1), patients)


def evaluated(scores: ClassScores) -> ClassEvaluation:
    return evaluate_classes(scores, config.Evaluation(bootstrap_draws=100))


def test_both_say_which_scans_they_are_of() -> None:
    scores = scored(20)
    for figure in (class_confusion(evaluated(scores)), class_rocs(scores, evaluated(scores))):
        assert "out of fold: 140 scans of 70 patients, 4 classes" in words(figure)


def test_the_confusion_matrix_shows_counts_and_row_shares() -> None:
    found = evaluated(scored(20))
    text = words(class_confusion(found))
    for row, cells in enumerate(found.confusion):
        assert f"{CLASSES[row]}\n({cells.sum()})" in text
        for count in cells:
            assert f"{count}\n{count / cells.sum():.1%} of row" in text


def test_a_class_without_scans_has_an_empty_row() -> None:
    text = words(class_confusion(evaluated(scored(0))))
    assert "covid-19\n(0)" in text
    assert text.count("no scans") == 4


def test_curves_bear_the_auc_of_the_evaluation_and_pass_through_its_decisions() -> None:
    scores = scored(20)
    found = evaluated(scores)
    figure = class_rocs(scores, found)
    text = words(figure)
    lines = {str(line.get_label()): np.asarray(line.get_xydata(), dtype=np.float64) for line in figure.axes[0].lines}
    dots = [tuple(line[0]) for line in lines.values() if len(line) == 1]
    for name in CLASSES:
        auc, sensitivity, specificity = (
            found.figures[f"{each}_{name}"] for each in ("auc", "sensitivity", "specificity")
        )
        assert auc is not None and sensitivity is not None and specificity is not None
        assert f"AUC {auc.value:.3f} (95% interval {auc.low:.3f} to {auc.high:.3f})" in text
        curve = next(line for label, line in lines.items() if label.startswith(f"{name} ("))
        assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(auc.value)
        assert (1 - specificity.value, sensitivity.value) in dots


@pytest.mark.parametrize("covid", [0, 4])
def test_a_class_with_too_few_scans_has_words_in_place_of_a_curve(covid: int) -> None:
    scores = scored(covid)
    assert f"covid-19: {covid} scans, too few for a curve" in words(class_rocs(scores, evaluated(scores)))


def test_scans_of_no_class_are_on_no_picture() -> None:
    scores = scored(20)
    without = ClassScores(
        scores.split,
        CLASSES,
        np.append(scores.class_index, -1),
        np.vstack([scores.probabilities, np.full(4, 0.25)]),
        [*scores.patients, "person of another class"],
    )
    both = [(scores, evaluated(scores)), (without, evaluated(without))]
    assert len({words(class_rocs(*each)) for each in both}) == 1
    assert len({words(class_confusion(found)) for _, found in both}) == 1
