"""A registered model on labelled scans of somewhere else: what it is worth there, and a rule fitted there."""
