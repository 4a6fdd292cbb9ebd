"""A recipe's best values searched: studies, trials and their runs."""
