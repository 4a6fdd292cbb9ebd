"""From scores to metrics, decisions, plots and reports."""
