"""Words of tables, folders and file names, and what they mean: labels, patients, splits, views."""
