"""The commands, a file for each thing that a person comes for."""
