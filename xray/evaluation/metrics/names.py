"""The names of the metrics, each list written once: what is computed, what is shown first, in which order."""

RANKING = ("auc", "average_precision", "brier", "calibration_error")
"""Of the scores alone, at no threshold."""

DECISION = ("accuracy", "sensitivity", "specificity", "f1")
"""Of the decisions at a threshold."""

ALL = RANKING + DECISION

HEADLINE = ("auc", "accuracy", "sensitivity", "specificity")
"""What a line of a list shows."""

SHOWN = (*HEADLINE, "calibration_error")
"""What a row of a table, a column and a chart of MLflow's pages show."""
