"""Work on a Dask cluster: calls and tasks side by side, and what is said where the extra is missing."""
