"""A registered model on new files: chosen, run in processes of its own, here or on a cluster."""
