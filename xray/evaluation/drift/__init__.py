"""Whether new scans look and score like those that a model was made from."""
