"""What a training minimizes, and the optimizer that does."""
