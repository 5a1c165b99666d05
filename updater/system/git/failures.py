"""How a fetch can fail in ways that somebody reacts to."""

from updater.errors import RefusedError, TransportError


class RejectedError(TransportError):
    """The next try would end the same way; a person has to act, or it is too late."""


class TooLargeError(RefusedError):
    """The remote sent more bytes than `FetchLimits.size`."""


class MissingBasesError(TransportError):
    """The remote's deltas build on objects that are not here: fetch without haves."""
