"""From snapshots to what a person reads."""
