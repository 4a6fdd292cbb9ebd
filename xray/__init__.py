"""The craft: chest X-ray classification in plain Python that knows no Prefect."""

__version__ = "0.1.0"
