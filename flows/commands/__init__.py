"""The commands of `xray`, a file for each thing that a person comes for; flows/cli.py joins them."""
