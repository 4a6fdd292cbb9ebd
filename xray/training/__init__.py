"""From a catalog and a pixel store to a trained network."""
