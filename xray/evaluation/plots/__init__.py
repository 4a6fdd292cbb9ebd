"""Plots of a model's scores, and the style that all plots share."""
