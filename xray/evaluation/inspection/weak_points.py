"""A model's weak points, one sentence each."""

from collections.abc import Mapping

from xray.evaluation.inspection.robustness import UNCHANGED, Robustness, spoken
from xray.evaluation.inspection.saliency_focus import Focus
from xray.evaluation.inspection.shortcuts import Shortcuts
from xray.evaluation.inspection.slices import Slices
from xray.evaluation.metrics.bootstrap import Estimate
from xray.labels import NORMAL

SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"


def weak_points(parts: Slices, changed: Robustness, short: Shortcuts, spots: Focus, finding: str) -> dict[str, str]:
    """Name the worst part and the worst change, and where the model looks if that is to be distrusted.

    Args:
        parts: The model on parts of the scans.
        changed: The model on changed scans.
        short: The model without the lungs.
        spots: Where its maps are brightest.
        finding: What the model tells from normal.

    Returns:
        Sentences without a full stop, by topic. What is no weak point is not there.
    """
    labels = {SENSITIVITY: finding, SPECIFICITY: NORMAL}
    found = {"Weakest slice": _weakest_part(parts, labels), "Worst change": _worst_change(changed, labels)}
    if short.verdict.marked:
        found["Lungs"] = str(short.verdict)
    if spots.coincide:
        found["Evidence maps"] = str(spots)
    return {topic: words for topic, words in found.items() if words}


def _weakest_part(parts: Slices, labels: Mapping[str, str]) -> str:
    said = []
    for figure, label in labels.items():
        part = parts.worst(figure)
        if part is not None:
            of = f'{part.counts[figure]:,} {label} scans in the part "{part.words}"'
            said.append(f"{part.figures[figure].percent()} of the {of} are called {label}")
    return f"{'; '.join(said)}; the worst of many slices is low partly by chance" if said else ""


def _worst_change(changed: Robustness, labels: Mapping[str, str]) -> str:
    losses = [
        (loss.value, change, figure)
        for change in changed.changes
        for figure, loss in changed.losses(change).items()
        if figure in labels
    ]
    value, change, figure = max(losses, default=(0.0, "", ""))
    if value <= 0:
        return ""
    before, after = (_of(changed, name, figure) for name in (UNCHANGED, change))
    return (
        f"on the same scans {CHANGED.get(change, spoken(change))}, {after.percent()} of the {labels[figure]} scans "
        f"are called {labels[figure]}, and {before.value:.1%} on the scans as they are"
    )


def _of(changed: Robustness, change: str, figure: str) -> Estimate:
    return changed.figures[f"{change}.{figure}"]


CHANGED = {
    "rotated_5_degrees": "rotated by 5 degrees",
    "rotated_10_degrees": "rotated by 10 degrees",
    "cut_above_and_below": "with a tenth cropped above and below",
    "cut_at_the_sides": "with a tenth cropped at each side",
    "noise": "with noise added",
    "gamma_0.7": "made brighter",
    "gamma_1.4": "made darker",
    "jpeg_30": "stored as a low-quality JPEG",
    "half_resolution": "at half the resolution",
    "inverted": "with inverted gray",
}
"""Each of `perturbations.ROBUSTNESS` in words, after "the same scans"."""
