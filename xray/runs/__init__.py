"""The MLflow run of a training, of a cross-validation and of several seeds, from opened to registered."""
