"""MLflow's server for a home's store, and its access control."""
