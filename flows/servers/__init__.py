"""Processes around a flow: Prefect's server, MLflow's server and the worker, started, watched and ended."""
