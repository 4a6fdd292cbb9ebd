"""Registered models on new files: selected, and run in separate processes, here or on a cluster."""
