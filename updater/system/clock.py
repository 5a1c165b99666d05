"""The kernel's word on the clock: whether somebody keeps it right (adjtimex(2))."""

import ctypes

_TIME_ERROR = 5  # "clock not synchronized"
_SIZE = 512  # bytes, more than struct timex has anywhere


def is_synchronised() -> bool:
    """Whether the kernel's clock is synchronised; what cannot be asked is not."""
    buffer = ctypes.create_string_buffer(_SIZE)  # modes 0: ask only
    try:
        state = int(ctypes.CDLL(None).adjtimex(buffer))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR
