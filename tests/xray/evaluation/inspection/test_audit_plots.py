"""Pictures of the audits: they can be drawn, say what they are of, and bring out what they should."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from xray.evaluation.inspection.audit_plots import robustness_picture, slices_picture
from xray.evaluation.inspection.robustness import METRICS, Robustness
from xray.evaluation.inspection.slices import Slice, Slices
from xray.evaluation.metrics.bootstrap import Estimate
from xray.evaluation.plots.style import ACCENT


def words(figure: Figure) -> str:
    """Draw a figure, and give all the words on it."""
    figure.savefig(BytesIO(), dpi=30)
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def accented(figure: Figure) -> list[float]:
    """Give the values whose dots are in the colour that stands out."""
    dots = [line for line in figure.findobj(Line2D) if isinstance(line, Line2D) and line.get_marker() == "o"]
    return [float(np.ravel(dot.get_xdata())[0]) for dot in dots if to_hex(dot.get_color()) == ACCENT]


def robust(*losses: Estimate) -> Robustness:
    changes = tuple(f"change_{number}" for number in range(len(losses)))
    figures = {f"{change}.{name}_loss": loss for change, loss in zip(changes, losses, strict=True) for name in METRICS}
    return Robustness("test", 308, 205, 0.62, changes, figures)


def test_losses_say_which_scans_and_bring_out_what_is_more_than_chance() -> None:
    figure = robustness_picture(
        robust(
            Estimate(0.2, 0.1, 0.3), Estimate(0.01, -0.02, 0.04), Estimate(-0.3, -0.4, -0.2), Estimate(0.5, None, None)
        )
    )
    assert accented(figure) == [0.2] * 4
    text = words(figure)
    assert "TEST: 308 scans of 205 patients, threshold 0.620" in text
    assert "change 0" in text
    assert "loss of specificity" in text
    assert "-0.30" in text


def test_a_loss_of_nothing_has_no_sign() -> None:
    text = words(robustness_picture(robust(Estimate(-0.001, -0.002, 0.0))))
    assert "\n0.00" in text
    assert "-0.00" not in text


def part(kind: str, name: str, scans: tuple[int, int], **figures: float) -> Slice:
    estimates = {figure: Estimate(value, value - 0.1, min(1.0, value + 0.1)) for figure, value in figures.items()}
    counts = {"sensitivity": scans[0], "specificity": scans[1]}
    return Slice(kind, name, f"{kind} {name}", counts, estimates)


@pytest.fixture
def sliced() -> Slices:
    parts = (
        part("subtype", "viral", (40, 0), sensitivity=0.7),
        part("subtype", "bacterial", (40, 0), sensitivity=0.9),
        part("subtype", "sars", (4, 0)),
        part("source", "IM", (0, 30), specificity=0.8),
        part("source", "NORMAL2", (0, 20), specificity=0.6),
    )
    whole = part("all", "all", (84, 50), sensitivity=0.81, specificity=0.72)
    return Slices("validation", 134, 100, 0.4, whole, parts)


def test_parts_bring_out_the_worst_of_each_figure(sliced: Slices) -> None:
    figure = slices_picture(sliced)
    assert sorted(accented(figure)) == [0.6, 0.7]
    text = words(figure)
    assert "validation: 134 scans of 100 patients, threshold 0.400" in text
    assert "all scans 0.810 (0.710 to 0.910)" in text
    assert "subtype bacterial" in text


def test_parts_with_too_few_scans_say_so_in_place_of_a_dot(sliced: Slices) -> None:
    assert "4 scans, too few" in words(slices_picture(sliced))


def test_parts_without_any_figure_can_be_drawn() -> None:
    only = Slices("test", 3, 3, 0.5, part("all", "all", (2, 1)), (part("subtype", "viral", (2, 0)),))
    assert "2 scans, too few" in words(slices_picture(only))
