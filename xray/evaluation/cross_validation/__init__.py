"""What the folds of a cross-validation come to."""
