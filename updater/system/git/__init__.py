"""The only place that knows libgit2."""
