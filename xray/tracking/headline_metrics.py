"""Which of a run's hundreds of metrics are logged to MLflow; all are in the run's file `metrics.json`.

A metric is what a person compares runs by, or what our own code reads back. With more than some sixty, MLflow's pages
are a wall of charts in which nobody finds the AUC.
"""

from xray.evaluation.metrics.names import SHOWN

WITH_INTERVAL = (*SHOWN, "referred")
PLAIN = (
    "average_precision", "f1", "brier", "sensitivity_bacterial", "sensitivity_viral", "error_decided",
    "threshold", "scans", "patients", "tp", "fp", "tn", "fn",
)  # fmt: skip
INTERVAL = ("", "_low", "_high")
REPEATED = (*(f"test.{name}" for name in WITH_INTERVAL[:-1]), "validation.auc", "best_epoch")
"""Figures of each training whose mean and standard deviation are shown: seeds under `seeds.`, folds under their own."""

HEADLINE = frozenset(
    {
        *(f"test.{name}{end}" for name in WITH_INTERVAL for end in INTERVAL),
        *(f"test.{name}" for name in PLAIN),
        *(f"external.{name}{end}" for name in (*WITH_INTERVAL, "ppv", "npv") for end in INTERVAL),
        *(f"external.{name}" for name in PLAIN),
        *(f"out_of_fold.{name}{end}" for name in WITH_INTERVAL for end in INTERVAL),
        *(f"out_of_fold.{name}" for name in ("average_precision", "f1", "brier", "scans", "patients")),
        *(f"{before}{name}{end}" for before in ("", "seeds.") for name in REPEATED for end in ("", "_sd")),
        "temperature", "looks", "shortcut.marked", "maps.passed",
    }
)  # fmt: skip


def in_headline(name: str) -> bool:
    """Tell whether a figure is a metric in MLflow."""
    return name in HEADLINE
