"""From a folder of scans to a catalog and a pixel store."""
