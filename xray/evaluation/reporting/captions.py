"""What each picture of a run shows, for a reader who cannot see it and for one who can."""

from pathlib import Path

from xray.evaluation.reporting.page import Picture

CAPTIONS = {
    "calibration": "How often scans of each predicted probability are pneumonia, before and after calibration.",
    "class_confusion": "Which class is likeliest for how many scans of each class. It is not what the model decides.",
    "class_distribution": "The causes' shares of training, validation and TEST scans.",
    "class_rocs": "Each class against the rest: sensitivity against false alarms.",
    "confusion_matrix": "What became of the scans of each label: called pneumonia, called normal or referred.",
    "learning_curves": "Loss and accuracy of each epoch on training and validation scans.",
    "maps": "Right, wrong and referred scans, each with the map of what spoke for pneumonia. A map is no proof.",
    "precision_recall": "Precision against recall at every threshold, with the chosen one and 0.5 marked.",
    "referral": "Errors among the scans that are decided, as more of the doubtful ones are decided too.",
    "robustness": "What each change of the scans costs of each figure.",
    "roc_curve": "Sensitivity against false alarms at every threshold, with the chosen one and 0.5 marked.",
    "scan_grid": "Scans with what they are and what the model answers: right, wrong and referred ones.",
    "score_distribution": "Scores of pneumonia and of normal scans: decided rightly, referred, and decided wrongly.",
    "slices": "Sensitivity and specificity of parts of the scans, the worst ones marked.",
}


def plot_with_caption(path: Path) -> Picture:
    """Give a picture of a run with its caption, which is also its text for readers who cannot see it.

    Args:
        path: A PNG file that bears one of the names in `CAPTIONS`.
    """
    words = CAPTIONS[path.stem]
    return Picture(path, f"{path.stem.replace('_', ' ').capitalize()}. {words}", words)
