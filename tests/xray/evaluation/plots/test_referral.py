"""The picture of referral: it can be drawn, and marks the band where its figures are."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.decision.referral import Band, band_figures, coverage_curve
from xray.evaluation.metrics import binary as metrics
from xray.evaluation.metrics.split_metrics import Evaluation, evaluate_split, labels_and_scores
from xray.evaluation.plots.referral import coverage_picture

THRESHOLD = 0.6


def words(figure: Figure) -> str:
    """Draw a figure, and give all the words on it."""
    figure.savefig(BytesIO(), dpi=30)
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


@pytest.fixture
def evaluated(scored: pd.DataFrame) -> Evaluation:
    return evaluate_split(scored, THRESHOLD, config.Evaluation(bootstrap_draws=100))


def test_it_says_the_scans_and_the_band(scored: pd.DataFrame, evaluated: Evaluation) -> None:
    text = words(coverage_picture(scored, Band(0.45, 0.65), evaluated))
    _, p = labels_and_scores(scored)
    assert "TEST: 60 scans of 30 patients, 66.7% pneumonia" in text
    assert f"scores from 0.450 to 0.650 are referred, {((p >= 0.45) & (p < 0.65)).mean():.1%} of the scans" in text


def test_it_draws_the_curve_and_marks_the_band(scored: pd.DataFrame, evaluated: Evaluation) -> None:
    band = Band(0.45, 0.65)
    lines = coverage_picture(scored, band, evaluated).axes[0].lines
    curve, everything, marked = (np.asarray(line.get_xydata(), dtype=np.float64) for line in lines)
    y, p = labels_and_scores(scored)
    expected = coverage_curve(y, p, THRESHOLD)
    assert curve[:, 0].tolist() == expected.coverage.tolist()
    assert curve[:, 1].tolist() == expected.error.tolist()
    assert everything[0] == pytest.approx([1, 1 - evaluated.chosen.figures["accuracy"].value])
    found = band_figures(y, p, band, THRESHOLD, metrics.unit_weights(60))
    assert marked[0] == pytest.approx([1 - found["referred"][0], found["error_decided"][0]])


@pytest.mark.parametrize(
    ("band", "said", "marked"),
    [
        (Band.none(THRESHOLD), "no scan is referred", False),
        # Three of sixty scans have a score of 1, from which on a scan is always decided.
        (Band(0.0, 1.0), "are referred, 95.0%", True),
    ],
)
def test_it_can_be_drawn_without_a_band_and_with_the_widest(
    scored: pd.DataFrame, evaluated: Evaluation, band: Band, said: str, marked: bool
) -> None:
    text = words(coverage_picture(scored, band, evaluated))
    assert said in text
    assert ("the stored band" in text) == marked


def test_where_every_scan_is_referred_nothing_is_marked(scored: pd.DataFrame) -> None:
    scores = scored.assign(p_pneumonia=scored["p_pneumonia"] * 0.9)
    evaluated = evaluate_split(scores, THRESHOLD, config.Evaluation(bootstrap_draws=100))
    text = words(coverage_picture(scores, Band(0.0, 1.0), evaluated))
    assert "are referred, 100.0% of the scans" in text
    assert "the stored band" not in text


def test_a_model_without_mistakes_can_be_drawn(scored: pd.DataFrame) -> None:
    scores = scored.assign(p_pneumonia=(scored["label"] == "pneumonia").astype(float))
    evaluated = evaluate_split(scores, 0.5, config.Evaluation(bootstrap_draws=100))
    assert "all scans decided: 0.0% wrong" in words(coverage_picture(scores, Band(0.2, 0.7), evaluated))


def test_a_threshold_outside_its_band_is_refused(scored: pd.DataFrame, evaluated: Evaluation) -> None:
    with pytest.raises(EvaluationError, match="within the band"):
        coverage_picture(scored, Band(0.1, 0.2), evaluated)
