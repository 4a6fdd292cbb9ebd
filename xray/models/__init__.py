"""The saved model: a package that scores by itself, its files, and its versions in the registry."""
