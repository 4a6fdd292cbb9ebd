"""MLflow's own server on a home's store, and who may enter it."""
