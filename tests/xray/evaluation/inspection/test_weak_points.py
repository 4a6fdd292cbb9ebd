"""The weak points of an audit: the worst part, the worst change, and only what is weak."""

from xray.evaluation.inspection.linear_probe import Probe
from xray.evaluation.inspection.perturbations import ROBUSTNESS
from xray.evaluation.inspection.robustness import Robustness
from xray.evaluation.inspection.saliency_focus import Focus
from xray.evaluation.inspection.shortcuts import Shortcuts
from xray.evaluation.inspection.slices import Slice, Slices
from xray.evaluation.inspection.weak_points import CHANGED, weak_points
from xray.evaluation.metrics.bootstrap import Estimate

SPREAD = Focus(40, 0.2, 0.3, 0.5, 0.1)
TOGETHER = Focus(40, 0.9, 0.03, 0.97, 0.95)


def part(words: str, **figures: float) -> Slice:
    found = {name: Estimate(value, value - 0.1, value + 0.1) for name, value in figures.items()}
    return Slice("subtype", words, words, {"sensitivity": 20, "specificity": 12}, found)


def parts(*found: Slice) -> Slices:
    whole = Slice("all", "all", "all scans", {"sensitivity": 60, "specificity": 40}, {})
    return Slices("test", 100, 90, 0.5, whole, found)


def changed(**specificities: float) -> Robustness:
    figures = {f"{name}.specificity": Estimate(value, value, value) for name, value in specificities.items()}
    for name, value in specificities.items():
        loss = specificities["unchanged"] - value
        figures |= {f"{name}.{figure}_loss": Estimate(0, 0, 0) for figure in ("auc", "accuracy", "sensitivity")}
        figures[f"{name}.specificity_loss"] = Estimate(loss, loss, loss)
    return Robustness("test", 100, 90, 0.5, tuple(name for name in specificities if name != "unchanged"), figures)


def without_lungs(loss: float) -> Shortcuts:
    figures = {name: Estimate(0.9, 0.8, 1.0) for name in ("unchanged.auc", "centre_masked.auc")}
    figures["centre_masked.auc_loss"] = Estimate(loss, loss, loss)
    return Shortcuts(Robustness("test", 9, 9, 0.5, ("centre_masked",), figures), Probe({}, {}))


def test_the_worst_part_of_each_label_and_the_worst_change_are_named() -> None:
    evaluated = parts(part("viral", sensitivity=0.7, specificity=0.8), part("dark", sensitivity=0.9, specificity=0.4))
    found = weak_points(
        evaluated, changed(unchanged=0.8, noise=0.5, inverted=0.1), without_lungs(0.3), SPREAD, "pneumonia"
    )
    assert list(found) == ["Weakest slice", "Worst change"]
    assert found["Weakest slice"] == (
        '70.0% (60.0 to 80.0%) of the 20 pneumonia scans in the part "viral" are called pneumonia; 40.0% (30.0 to '
        '50.0%) of the 12 normal scans in the part "dark" are called normal; the worst of many slices is low partly by '
        "chance"
    )
    assert found["Worst change"].startswith("on the same scans with inverted gray, 10.0%")
    assert found["Worst change"].endswith("are called normal, and 80.0% on the scans as they are")


def test_maps_that_coincide_and_lungs_that_are_not_needed_are_weak() -> None:
    found = weak_points(parts(), changed(unchanged=0.8), without_lungs(0.01), TOGETHER, "pneumonia")
    assert list(found) == ["Lungs", "Evidence maps"]
    assert "may not need the lungs" in found["Lungs"]
    assert "36 of 40 maps are brightest at the same place" in found["Evidence maps"]


def test_every_change_has_words() -> None:
    assert set(CHANGED) == set(ROBUSTNESS)
