"""MLflow's store and the runs in it: opened, described and logged to."""
