"""Where scans come from: readers of a data set's layout, a file for each public one in `layouts/`, the download."""
