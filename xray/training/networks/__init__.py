"""The networks, the weights they start from, and the average over several views of a scan."""
