"""The kernel's clock: whether somebody keeps it right (adjtimex(2))."""

import ctypes

_TIMEX = 256  # bytes; struct timex has 208
_UNSYNCHRONISED = 5  # TIME_ERROR


def is_synchronised() -> bool | None:
    """Whether the kernel calls the clock synchronised; None when it does not say."""
    # All zero: `modes` is 0, which only asks.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    return None if state < 0 else state != _UNSYNCHRONISED
