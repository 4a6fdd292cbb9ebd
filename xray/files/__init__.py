"""Our own files: whole or not at all, proved when read, on disk or at an S3 server."""
