"""Captions of a run's plots, which are also their alternative texts."""

from pathlib import Path

from xray.evaluation.reporting.page import Picture

CAPTIONS = {
    "calibration": "How often scans of each predicted probability are pneumonia, before and after calibration.",
    "class_confusion": "Most likely class of the scans of each class. This is not the model's decision.",
    "class_distribution": "The causes' shares of training, validation and TEST scans.",
    "class_rocs": "Each class against the rest: sensitivity against false alarms.",
    "confusion_matrix": "Scans of each label: called pneumonia, called normal or referred.",
    "learning_curves": "Loss and accuracy of each epoch on training and validation scans.",
    "maps": "Right, wrong and referred scans, each with the map of evidence for pneumonia. A map is not a proof.",
    "precision_recall": "Precision against recall at every threshold, with the chosen one and 0.5 marked.",
    "referral": "Errors among the decided scans, from only the most confident to all of them.",
    "robustness": "Loss of each metric under each change of the scans.",
    "roc_curve": "Sensitivity against false alarms at every threshold, with the chosen one and 0.5 marked.",
    "scan_grid": "Right, wrong and referred scans with label and decision.",
    "score_distribution": "Scores of pneumonia and of normal scans: right, referred and wrong.",
    "slices": "Sensitivity and specificity of slices of the scans, the worst ones marked.",
}


def plot_with_caption(path: Path) -> Picture:
    """Give a picture of a run with its caption, which is also its text for readers who cannot see it.

    Args:
        path: A PNG file that bears one of the names in `CAPTIONS`.
    """
    words = CAPTIONS[path.stem]
    return Picture(path, f"{path.stem.replace('_', ' ').capitalize()}. {words}", words)
