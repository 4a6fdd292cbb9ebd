"""The only room that imports MLflow: runs, models, aliases."""
