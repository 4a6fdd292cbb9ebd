"""A look inside an evaluated network: saliency maps, changed scans, shortcuts, parts of the scans."""
