"""Runs found, listed and compared."""
