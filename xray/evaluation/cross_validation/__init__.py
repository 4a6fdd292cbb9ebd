"""Results of a cross-validation: out-of-fold scores and their summary."""
