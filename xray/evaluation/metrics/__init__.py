"""Metrics of scores against labels, with intervals, paired over models and summed up over runs."""
