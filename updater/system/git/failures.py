"""How a fetch can fail in ways that somebody reacts to."""

from updater.errors import RefusedError, TransportError


class RejectedError(TransportError):
    """The next try would end the same way; a person has to act, or it is too late."""


class TooLargeError(RefusedError):
    """The remote sent more bytes than `FetchLimits.size`."""


class MemoryLimitError(RefusedError):
    """What the remote sent does not fit into `FetchLimits.memory`.

    A delta takes as much as its base and its result together; without haves there may
    be none of a large file.
    """


class MissingBasesError(TransportError):
    """The remote's deltas build on objects that are not here: fetch without haves."""
