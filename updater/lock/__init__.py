"""The reboot lock of a fleet: the service, where it keeps its state, and its client."""
