"""The pixel store: filled, read, fed to a training and shared through S3."""
