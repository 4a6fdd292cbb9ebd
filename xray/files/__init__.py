"""Our own files: written atomically, checked when read, on disk or at an S3 server."""
