"""Inspection of an evaluated network: saliency maps, changed scans, shortcuts, slices of the scans."""
