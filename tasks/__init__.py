"""Policy around one library call each: retry, reuse, report."""
