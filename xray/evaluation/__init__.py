"""From scores to figures a reader can trust."""
