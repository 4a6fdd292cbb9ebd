"""MLflow's store and the runs in it: opened, described, sent to."""
