"""Where scans come from: readers of a data set's layout, its download, and phantoms."""
