"""Where scans come from: readers of a data set's layout, and its download."""
