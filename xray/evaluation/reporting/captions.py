"""Captions of a run's plots, which are also their alternative texts."""

from pathlib import Path

from xray.evaluation.reporting.page import Picture

CAPTIONS = {
    "calibration": "How often scans of each predicted probability are {finding}, before and after calibration.",
    "class_confusion": "Most likely class of the scans of each class. This is not the model's decision.",
    "class_distribution": "What the training, validation and TEST scans are.",
    "class_rocs": "Each class against the rest: sensitivity against false alarms.",
    "confusion_matrix": "Scans of each label: called {finding}, called normal or referred.",
    "learning_curves": "Loss and accuracy of each epoch on training and validation scans.",
    "maps": "Right, wrong and referred scans, each with the map of evidence for {finding}. A map is not a proof.",
    "precision_recall": "Precision against recall at every threshold, with the chosen one and 0.5 marked.",
    "referral": "Errors among the decided scans, from only the most confident to all of them.",
    "robustness": "Loss of each metric under each change of the scans.",
    "roc_curve": "Sensitivity against false alarms at every threshold, with the chosen one and 0.5 marked.",
    "scan_grid": "Right, wrong and referred scans with label and decision.",
    "score_distribution": "Scores of {finding} and of normal scans: right, referred and wrong.",
    "slices": "Sensitivity and specificity of slices of the scans, the worst ones marked.",
}


def plot_with_caption(path: Path, finding: str) -> Picture:
    """Give a picture of a run with its caption, which is also its text for readers who cannot see it.

    Args:
        path: A PNG file that bears one of the names in `CAPTIONS`.
        finding: What the model tells from normal.
    """
    words = CAPTIONS[path.stem].format(finding=finding)
    return Picture(path, f"{path.stem.replace('_', ' ').capitalize()}. {words}", words)
