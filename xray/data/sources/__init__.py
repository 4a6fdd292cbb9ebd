"""Where scans come from: readers of a data set's layout, `layouts/` with a file for each public one, and the download."""
