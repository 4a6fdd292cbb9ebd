"""Phantoms: drawn chests in the layouts of real data sets, to try, to test and to show the pipeline."""
