"""The search for a recipe's best values: studies, trials and their runs."""
