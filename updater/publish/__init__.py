"""From a root filesystem to a signed release commit."""
