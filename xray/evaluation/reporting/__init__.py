"""Reports for people: the report page and the model card."""
