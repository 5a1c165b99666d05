"""Publishing: a root filesystem becomes a signed release commit in a repository."""
